// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/wire/name_list.hpp"

namespace culvert::ssh {
namespace {

// Takes the next name off the front of `rest`; false at the end.
bool next_name(std::string_view& rest, std::string_view& name) {
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    name = rest.substr(0, comma);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
    if (!name.empty()) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string_view> split_names(std::string_view list) {
  std::vector<std::string_view> names;
  for (std::string_view name; next_name(list, name);) names.push_back(name);
  return names;
}

bool contains_name(std::string_view list, std::string_view name) {
  for (std::string_view candidate; next_name(list, candidate);) {
    if (candidate == name) return true;
  }
  return false;
}

std::string_view first_common(std::string_view wanted, std::string_view offered) {
  for (std::string_view name; next_name(wanted, name);) {
    if (contains_name(offered, name)) return name;
  }
  return {};
}

std::string join_names(std::span<const std::string> names) {
  std::string joined;
  for (const std::string& name : names) {
    if (!joined.empty()) joined += ',';
    joined += name;
  }
  return joined;
}

}  // namespace culvert::ssh

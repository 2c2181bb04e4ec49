// SPDX-License-Identifier: Apache-2.0
#include "load/tool.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

namespace culvert::load {

void die(std::string_view text) {
  fmt::print(stderr, "culvert-load: {}\n", text);
  std::exit(1);
}

void die_errno(std::string_view what) {
  const int error = errno;
  die(fmt::format("{}: {}", what, std::strerror(error)));
}

int poll_timeout(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

Options::Options(int argc, char** argv, int first) {
  for (int i = first; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--") {
      rest_.assign(argv + i + 1, argv + argc);
      return;
    }
    if (!word.starts_with("--")) die(fmt::format("'{}' is not an option", word));
    const bool has_value = i + 1 < argc && !std::string_view(argv[i + 1]).starts_with("--");
    values_[std::string(word.substr(2))] = Value{has_value ? argv[++i] : ""};
  }
}

Options::Value* Options::find(std::string_view name) {
  const auto it = values_.find(name);
  if (it == values_.end()) return nullptr;
  it->second.used = true;
  return &it->second;
}

std::string Options::text(std::string_view name) {
  const Value* value = find(name);
  if (value == nullptr || value->text.empty()) die(fmt::format("--{} is missing", name));
  return value->text;
}

std::string Options::text(std::string_view name, std::string_view otherwise) {
  const Value* value = find(name);
  return value == nullptr ? std::string(otherwise) : value->text;
}

std::int64_t Options::number(std::string_view name, std::int64_t otherwise) {
  const Value* value = find(name);
  if (value == nullptr) return otherwise;
  std::int64_t number = 0;
  const char* end = value->text.data() + value->text.size();
  const auto [rest, error] = std::from_chars(value->text.data(), end, number);
  if (error != std::errc() || rest != end || number < 0) die(fmt::format("--{}: not a number", name));
  return number;
}

double Options::real(std::string_view name, double otherwise) {
  const Value* value = find(name);
  if (value == nullptr) return otherwise;
  double number = 0;
  const char* end = value->text.data() + value->text.size();
  const auto [rest, error] = std::from_chars(value->text.data(), end, number);
  if (error != std::errc() || rest != end || number < 0) die(fmt::format("--{}: not a number", name));
  return number;
}

bool Options::flag(std::string_view name) { return find(name) != nullptr; }

void Options::finish() const {
  for (const auto& [name, value] : values_) {
    if (!value.used) die(fmt::format("--{}: no such option", name));
  }
}

double percentile(const std::vector<double>& sorted, double fraction) {
  if (sorted.empty()) return 0;
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(last * fraction + 0.5)];
}

}  // namespace culvert::load

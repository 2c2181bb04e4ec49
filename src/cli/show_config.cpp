// SPDX-License-Identifier: Apache-2.0
#include "cli/show_config.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/keywords.hpp"
#include "cli/plan_builder.hpp"
#include "cli/values.hpp"

namespace culvert::cli {
namespace {

constexpr std::size_t kLongest = 64u << 10;  // a line of a file is not longer

constexpr std::array<std::string_view, 3> kFirst = {"User", "HostName", "Port"};

void add_line(std::string& out, std::string_view name, std::string_view value) {
  out += fmt::format("{} {}\n", lower(name), printable(value, kLongest));
}

void add(std::string& out, const Keyword& row, const Settings& settings) {
  std::vector<std::string> lines;
  if (row.show != nullptr) {
    lines = row.show(settings);
  } else if (const auto kept = settings.kept.find(lower(row.name)); kept != settings.kept.end()) {
    lines = kept->second;
  }
  for (const std::string& line : lines) add_line(out, row.name, line);
  if (lines.empty() && !row.unset.empty()) add_line(out, row.name, row.unset);
}

std::vector<std::string> none_if_empty(std::vector<std::string> files) {
  if (files.empty()) files.emplace_back("none");
  return files;
}

}  // namespace

Result<std::string> show_config(Settings settings, const Environment& environment) {
  const tunnel::ServerOptions server = TRY(build_server(settings, environment));
  settings.user = server.user;
  settings.host_name = server.host;
  settings.port = server.port;
  settings.clear_forwardings = clears_forwardings(settings);
  if (*settings.clear_forwardings) {
    settings.local_forwards.clear();
    settings.remote_forwards.clear();
    settings.dynamic_forwards.clear();
  }
  if (const auto& agent = settings.identity_agent; agent && agent->starts_with('~'))
    settings.identity_agent = server.agent_socket;
  settings.user_known_hosts = none_if_empty(server.user_known_hosts);
  settings.global_known_hosts = none_if_empty(server.global_known_hosts);
  if (settings.identity_files.empty()) settings.identity_files = default_identity_files();

  std::string out;
  add_line(out, "Host", settings.host.value_or(""));
  const auto is_first = [](const Keyword& row) {
    return std::ranges::find(kFirst, row.name) != kFirst.end();
  };
  for (const std::string_view name : kFirst) {
    const auto row = std::ranges::find(keywords(), name, &Keyword::name);
    add(out, *row, settings);
  }
  for (const Keyword& row : keywords()) {
    if (!is_first(row) && row.same_as.empty()) add(out, row, settings);
  }
  return out;
}

}  // namespace culvert::cli

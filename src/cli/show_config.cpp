// SPDX-License-Identifier: Apache-2.0
#include "cli/show_config.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/expand.hpp"
#include "cli/host_tokens.hpp"
#include "cli/keywords.hpp"
#include "cli/plan_builder.hpp"
#include "cli/values.hpp"

namespace culvert::cli {
namespace {

constexpr std::size_t kLongest = 64u << 10;  // a line of a file is not longer

// Where "none" is as good as nothing, ssh writes no line.
constexpr std::array<std::string_view, 9> kClearedByNone = {
    "ControlPath", "KnownHostsCommand", "LocalCommand",    "PKCS11Provider",     "ProxyCommand",
    "ProxyJump",   "RemoteCommand",     "RevokedHostKeys", "SecurityKeyProvider"};

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
  const bool is_cleared = lines.size() == 1 && equal_ignoring_case(lines[0], "none") &&
                          std::ranges::find(kClearedByNone, row.name) != kClearedByNone.end();
  if (is_cleared) return;
  for (const std::string& line : lines) add_line(out, row.name, line);
  if (lines.empty() && !row.unset.empty()) add_line(out, row.name, row.unset);
}

std::vector<std::string> none_if_empty(std::vector<std::string> files) {
  if (files.empty()) files.emplace_back("none");
  return files;
}

// The paths that ssh shows expanded; it leaves those of keys and of GlobalKnownHostsFile as they are.
class PathExpander {
 public:
  PathExpander(const Settings& settings, const Environment& environment)
      : home_(environment.home),
        tokens_(host_tokens(settings, environment, settings.host_name.value_or(""))) {}

  void expand(relay::Endpoint& endpoint) const {
    if (auto* socket = std::get_if<relay::UnixPath>(&endpoint)) expand_without_home(socket->path);
  }
  void expand_without_home(std::string& path) const {
    if (auto expanded = expand_references(path, tokens_)) path = std::move(*expanded);
  }
  void expand(std::string& path) const {
    if (auto expanded = expand_tilde(path, home_)) path = std::move(*expanded);
    expand_without_home(path);
  }

 private:
  std::string home_;
  std::vector<Token> tokens_;
};

// What cannot be expanded is of something that culvert does not do, or has ended build_plan().
void expand_paths(Settings& settings, const Environment& environment) {
  const PathExpander paths(settings, environment);
  if (settings.identity_agent) paths.expand(*settings.identity_agent);
  for (const std::string_view name : {"controlpath", "forwardagent"}) {
    const auto kept = settings.kept.find(name);
    if (kept == settings.kept.end()) continue;
    for (std::string& line : kept->second) paths.expand(line);
  }
  for (daemon::LocalForward& forward : settings.local_forwards) {
    paths.expand(forward.listen.endpoint);
    paths.expand(forward.destination);
  }
  for (daemon::RemoteForward& forward : settings.remote_forwards) {
    paths.expand(forward.listen);
    if (forward.destination) paths.expand(*forward.destination);
  }
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
  expand_paths(settings, environment);
  settings.user_known_hosts = none_if_empty(server.user_known_hosts);
  if (!settings.global_known_hosts) settings.global_known_hosts = server.global_known_hosts;
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

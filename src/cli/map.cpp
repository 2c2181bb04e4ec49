// SPDX-License-Identifier: Apache-2.0
#include "cli/map.hpp"

#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/endpoint_spec.hpp"
#include "cli/expand.hpp"
#include "cli/values.hpp"

namespace culvert::cli {
namespace {

constexpr const char* kAboutMap =
    "A port here becomes a host and port there, without a tunnel.\n"
    "LISTEN: [tcp/|udp/|tcp+udp/][bind:]port[-port], a /path or an @name; on this machine alone unless bind "
    "says otherwise (* is every address).\n"
    "TARGET: host:port[-port], a /path or an @name; several with commas between them.";

constexpr const char* kMapExamples =
    "examples:\n"
    "  culvert map '*:8080' 10.0.0.5:80\n"
    "  culvert map '*:8000-8010' db.internal:9000-9010 tcp+udp/127.0.0.1:53 192.0.2.53:53\n"
    "  culvert map '*:80' 10.0.0.5:80,10.0.0.6:80    culvert map 5432 /run/postgresql/.s.PGSQL.5432\n"
    "exit: 0 ended by a signal; 255 failed";

constexpr const char* kAboutProxy =
    "A SOCKS 4, 4a, 5 and HTTP CONNECT proxy; each client names its destination.\n"
    "PORT: [bind:]port or a /path; on this machine alone unless bind says otherwise. Loopback, link-local "
    "and "
    "this machine's other addresses are refused unless --connect names them.";

constexpr const char* kProxyExamples =
    "examples:\n"
    "  culvert proxy 1080                            curl -x socks5h://localhost:1080 https://example.org\n"
    "  culvert proxy '*:3128' --users users.txt --connect '*.example.org:443' --connect '10.0.0.0/8:*'\n"
    "exit: 0 ended by a signal; 255 failed";

// What both have: limits, time-outs, and the log.
struct Common {
  std::string connect_time;

  void add_to(CLI::App& app) {
    app.add_option("--connect-time", connect_time, "how long an address of a target may take to answer (30)");
  }
  Result<void> fill(daemon::DirectPlan& plan) const {
    if (connect_time.empty()) return {};
    const auto time = parse_time(connect_time);
    if (!time) return in_option("--connect-time", time.error());
    plan.connect_time = *time;
    return {};
  }
};

}  // namespace

Result<void> read_map_line(std::span<const std::string_view> arguments, const Environment&,
                           SubcommandLine& line) {
  daemon::DirectPlan& plan = line.plan.direct.emplace_back();
  std::vector<std::string> words;
  Common common;
  CLI::App app(kAboutMap, "culvert map");
  app.footer(kMapExamples);
  app.add_option("mapping", words, "LISTEN TARGET, any number of pairs")->type_name("");
  common.add_to(app);
  SubcommandReader reader(app, line);
  if (!TRY(reader.read(arguments))) return {};

  if (words.empty()) return fail(Errc::usage, "map: LISTEN and TARGET expected (see culvert map --help)");
  if (words.size() % 2 != 0)
    return fail(Errc::usage,
                fmt::format("map: {} has no TARGET (see culvert map --help)", in_quotes(words.back())));
  for (std::size_t i = 0; i < words.size(); i += 2) {
    for (daemon::DirectForward& forward : TRY(parse_mapping(words[i], words[i + 1])))
      plan.forwards.push_back(std::move(forward));
  }
  TRY(check_overlaps(plan.forwards));
  return common.fill(plan);
}

Result<void> read_proxy_line(std::span<const std::string_view> arguments, const Environment& environment,
                             SubcommandLine& line) {
  daemon::DirectPlan& plan = line.plan.direct.emplace_back();
  std::vector<std::string> places, rules;
  std::string users;
  Common common;
  CLI::App app(kAboutProxy, "culvert proxy");
  app.footer(kProxyExamples);
  app.add_option("port", places, "PORT, or several")->type_name("");
  add_repeated(app, "--connect", rules,
               "[!]HOST:PORTS where clients may go, as in the rules of a server (*:*)");
  app.add_option("--users", users, "file of user:password lines: who may use it (everybody)");
  common.add_to(app);
  SubcommandReader reader(app, line);
  if (!TRY(reader.read(arguments))) return {};

  if (places.empty()) return fail(Errc::usage, "proxy: PORT expected (see culvert proxy --help)");
  for (const std::string& text : places) {
    daemon::DirectForward& forward = plan.forwards.emplace_back();
    forward.listen = TRY(parse_dynamic_forward(text)).listen;
    auto* place = std::get_if<relay::HostPort>(&forward.listen.endpoint);
    if (place != nullptr && place->host.empty()) place->host = "localhost";
  }
  TRY(check_overlaps(plan.forwards));
  bool allows = false;
  for (const std::string& text : rules) {
    auto rule = files::ForwardRule::parse_connect(text);
    if (!rule) return in_option("--connect", rule.error());
    allows |= !rule->denies;
    plan.connect.push_back(std::move(*rule));
  }
  if (!allows) plan.connect.push_back(TRY(files::ForwardRule::parse_connect("*:*")));
  if (!users.empty()) plan.proxy_accounts_file = TRY(expand_tilde(users, environment.home));
  return common.fill(plan);
}

}  // namespace culvert::cli

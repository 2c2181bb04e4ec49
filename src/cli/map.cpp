// SPDX-License-Identifier: Apache-2.0
#include "cli/map.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/endpoint_spec.hpp"
#include "cli/expand.hpp"
#include "cli/kernel_mapping.hpp"
#include "cli/values.hpp"

namespace culvert::cli {
namespace {

constexpr const char* kAboutMap =
    "A port here becomes a host and port there, without a tunnel.\n"
    "LISTEN: [tcp/|udp/|tcp+udp/][bind:]port[-port], a /path or an @name; on this machine alone unless bind "
    "says otherwise (* is every address).\n"
    "TARGET: host:port[-port], a /path or an @name; several with commas between them.\n"
    "With --kernel, LISTEN also: sctp/ or dccp/, or NUMBER/[bind] with a TARGET without port: a whole "
    "protocol.";

constexpr const char* kMapExamples =
    "examples:\n"
    "  culvert map '*:8080' 10.0.0.5:80\n"
    "  culvert map '*:8000-8010' db.internal:9000-9010 tcp+udp/127.0.0.1:53 192.0.2.53:53\n"
    "  culvert map '*:80' 10.0.0.5:80,10.0.0.6:80    culvert map 5432 /run/postgresql/.s.PGSQL.5432\n"
    "  culvert map --kernel '*:80' 10.0.0.5:80       culvert map --kernel '47/*' 10.0.0.5\n"
    "exit: 0 ended by a signal; 255 failed; 128+N signal N cut it off";

constexpr const char* kAboutProxy =
    "A SOCKS 4, 4a, 5 and HTTP CONNECT proxy; each client names its destination.\n"
    "PORT: [bind:]port or a /path; on this machine alone unless bind says otherwise. Loopback, link-local "
    "and "
    "this machine's other addresses are refused unless --connect names them.";

constexpr const char* kProxyExamples =
    "examples:\n"
    "  culvert proxy 1080                            curl -x socks5h://localhost:1080 https://example.org\n"
    "  culvert proxy '*:3128' --users users.txt --connect '*.example.org:443' --connect '10.0.0.0/8:*'\n"
    "exit: 0 ended by a signal; 255 failed; 128+N signal N cut it off";

Result<std::optional<std::uint64_t>> rate_of(std::string_view option, const std::string& text) {
  if (text.empty()) return std::nullopt;
  const auto rate = parse_size(text);
  if (!rate) return in_option(option, rate.error());
  if (*rate == 0) return in_option(option, {Errc::usage, "0 would let nothing pass"});
  return *rate;
}

Result<void> set_time(std::string_view option, const std::string& text, Duration& time, Duration least = {}) {
  if (text.empty()) return {};
  const auto read = parse_time(text);
  if (!read) return in_option(option, read.error());
  if (*read < least) return in_option(option, {Errc::usage, "0 would leave no time for anything"});
  time = *read;
  return {};
}

Result<daemon::SourceAddress> source_of(const std::string& text) {
  if (const auto alone = IpAddress::parse(text)) return daemon::SourceAddress{*alone, 0};
  const relay::HostPort place = TRY(parse_stdio_destination(text));
  const auto address = IpAddress::parse(place.host);
  if (!address) return fail(Errc::usage, fmt::format("{} is not an address", in_quotes(place.host)));
  return daemon::SourceAddress{*address, place.port};
}

// What both have: who may come, limits, time-outs, and how connections are made.
class Common {
 public:
  explicit Common(CLI::App& app, daemon::DirectPlan& plan) : app_(app), plan_(plan) {
    allow_ = add_repeated(app, "--allow", allowed_, "network whose clients are let in, or all");
    deny_ =
        add_repeated(app, "--deny", denied_,
                     "network whose clients are turned away, or all; of --allow and --deny the first that "
                     "fits decides");
    add_repeated(
        app, "--accept-proxy", header_from_,
        "network of proxies: streams come from there alone, and begin with a PROXY header (v1 or v2)");
    app.add_option("--source", source_, "address[:port] to connect from");
    app.add_option("--max-streams", plan.most_streams, "streams at once, all together (65536)")
        ->check(CLI::Range(1U, 1U << 24));
    app.add_option("--stream-rate", stream_rate_, "new streams and udp flows a second, all together");
    app.add_option(
        "--rate-out", rate_out_,
        "bytes a second towards targets, all together: 512K, 10M; streams wait, datagrams above it "
        "are dropped");
    app.add_option("--rate-in", rate_in_, "bytes a second back");
    app.add_option("--connect-time", connect_time_,
                   "how long an address of a target may take to answer (30)");
    app.add_option("--idle-time", idle_time_, "of silence, after which a stream ends (none)");
    app.add_option("--half-closed-time", half_closed_time_,
                   "of silence, after which one ends that has ended in one direction (none)");
    app.add_option("--keepalive", keepalive_, "ask the other end after so much silence (not at all)");
    app.add_option("--user-timeout", user_timeout_,
                   "how long what was sent may stay unacknowledged (as the system has it)");
    app.add_option("--socket-mode", socket_mode_, "permissions of a /path that it listens at (0600)");
    app.add_option("--threads", plan.threads, "threads that carry streams (one for each processor)")
        ->check(CLI::Range(1, 256));
  }

  /// Behind the plan's forwards.
  Result<void> fill() {
    TRY(fill_access());
    plan_.proxy_header_from = TRY(networks_of("--accept-proxy", header_from_));
    if (!source_.empty()) {
      const auto source = source_of(source_);
      if (!source) return in_option("--source", source.error());
      plan_.source = *source;
    }
    plan_.streams_a_second = TRY(rate_of("--stream-rate", stream_rate_));
    plan_.bytes_a_second_out = TRY(rate_of("--rate-out", rate_out_));
    plan_.bytes_a_second_in = TRY(rate_of("--rate-in", rate_in_));
    TRY(set_time("--connect-time", connect_time_, plan_.connect_time, std::chrono::seconds(1)));
    TRY(set_time("--idle-time", idle_time_, plan_.silence.idle));
    TRY(set_time("--half-closed-time", half_closed_time_, plan_.silence.half_closed));
    TRY(set_time("--user-timeout", user_timeout_, plan_.liveness.user_timeout));
    TRY(set_time("--keepalive", keepalive_, plan_.liveness.idle));
    plan_.liveness.keepalive = plan_.liveness.idle > Duration::zero();
    plan_.liveness.interval = plan_.liveness.idle;
    return fill_socket_mode();
  }

 private:
  Result<void> fill_socket_mode() {
    if (socket_mode_.empty()) return {};
    const auto mode = parse_permissions(socket_mode_);
    if (!mode) return in_option("--socket-mode", mode.error());
    for (daemon::DirectForward& forward : plan_.forwards) forward.listen.socket_mask = 0777 & ~*mode;
    return {};
  }

  // CLI11 keeps the values of each option; their order among one another is in that of the options.
  Result<void> fill_access() {
    std::size_t allowed = 0, denied = 0;
    for (const CLI::Option* option : app_.parse_order()) {
      if (option != allow_ && option != deny_) continue;
      const bool allows = option == allow_;
      const std::string& network = allows ? allowed_.at(allowed++) : denied_.at(denied++);
      const auto added = plan_.access.add(
          allows ? relay::AccessList::Answer::allow : relay::AccessList::Answer::deny, network);
      if (!added) return in_option(allows ? "--allow" : "--deny", added.error());
    }
    return {};
  }

  CLI::App& app_;
  daemon::DirectPlan& plan_;
  CLI::Option* allow_;
  CLI::Option* deny_;
  std::vector<std::string> allowed_, denied_, header_from_;
  std::string source_, stream_rate_, rate_out_, rate_in_;
  std::string connect_time_, idle_time_, half_closed_time_, keepalive_, user_timeout_, socket_mode_;
};

// What `map` alone has: several targets, and what they are told.
class Targets {
 public:
  explicit Targets(CLI::App& app, daemon::DirectPlan& plan) : plan_(plan) {
    app.add_option("--balance", balance_,
                   "of several targets: in turn, the one with the fewest streams, or by the client's address "
                   "(round-robin)")
        ->check(CLI::IsMember({"round-robin", "least-connections", "source"}))
        ->type_name("round-robin|least-connections|source");
    CLI::Option* check = app.add_option(
        "--check", check_,
        "INTERVAL[,RISE[,FALL]]: connect to each target so often; so many that succeed bring it back, "
        "so many that fail take it out (not at all; then 2,3)");
    app.add_option(
           "--check-port", check_port_,
           "TCP port of each target to connect to (the target's own); only so are those of udp checked")
        ->check(CLI::Range(1, 65535))
        ->needs(check);
    add_repeated(
        app, "--sni", names_,
        "NAME=target[,target]: TLS streams for NAME go there; *.NAME and * too. TARGET takes the others, - "
        "none");
    app.add_option("--send-proxy", send_proxy_, "tell targets who came in a PROXY header of this version")
        ->check(CLI::IsMember({"v1", "v2"}))
        ->type_name("v1|v2");
    app.add_flag(
        "--transparent", plan.transparent,
        "targets see the visitor's address (needs CAP_NET_ADMIN, and their answers routed back here)");
    app.add_option("--flow-time", flow_time_, "udp: of silence, after which a flow ends (60)");
  }

  Result<void> fill() {
    if (balance_ == "least-connections") plan_.balance = relay::Balance::least_connections;
    if (balance_ == "source") plan_.balance = relay::Balance::source_hash;
    if (!send_proxy_.empty()) plan_.proxy_header_to = TRY(parse_proxy_version(send_proxy_));
    for (const std::string& text : names_) {
      const auto equals = text.find('=');
      if (equals == std::string::npos)
        return in_option("--sni", {Errc::usage, in_quotes(text) + " is not NAME=target[,target]"});
      auto targets = parse_targets(std::string_view(text).substr(equals + 1));
      if (!targets) return in_option("--sni", targets.error());
      plan_.names.push_back({text.substr(0, equals), std::move(*targets)});
    }
    if (!check_.empty()) {
      const auto checks = checks_of(check_);
      if (!checks) return in_option("--check", checks.error());
      plan_.checks = *checks;
      plan_.checks->port = check_port_;
    }
    return set_time("--flow-time", flow_time_, plan_.flow_time, std::chrono::seconds(1));
  }

 private:
  static Result<daemon::CheckPlan> checks_of(std::string_view text) {
    const auto words = split(text, ',');
    daemon::CheckPlan checks;
    checks.interval = TRY(parse_time(words[0]));
    if (checks.interval <= Duration::zero() || words.size() > 3)
      return fail(Errc::usage, in_quotes(text) + " is not INTERVAL[,RISE[,FALL]]");
    if (words.size() > 1) checks.rise = static_cast<std::uint32_t>(TRY(parse_number(words[1], 1, 1000)));
    if (words.size() > 2) checks.fall = static_cast<std::uint32_t>(TRY(parse_number(words[2], 1, 1000)));
    return checks;
  }

  daemon::DirectPlan& plan_;
  std::string balance_, check_, send_proxy_, flow_time_;
  std::uint16_t check_port_ = 0;
  std::vector<std::string> names_;
};

// What `map --kernel` has. The other options are of user space.
class Kernel {
 public:
  explicit Kernel(CLI::App& app) : app_(app) {
    CLI::Option* kernel =
        app.add_flag("--kernel", wanted_, "by rules of nftables, which are kept installed (CAP_NET_ADMIN)");
    const auto add = [&](const char* name, bool& value, const char* text) {
      return app.add_flag(name, value, text)->needs(kernel);
    };
    options_ = {
        kernel,
        add("--print", print_, "print the rules, and change nothing"),
        add("--persist", plan_.persist, "leave the rules when culvert ends"),
        add("--masquerade", plan_.masquerade, "targets see this machine as the client"),
        add("--enable-forwarding", plan_.enable_forwarding,
            "have this machine pass packets on, while culvert runs (net.ipv4.ip_forward)"),
        app.add_flag("--clean", clean_, "remove the rules that a killed culvert or --persist has left")};
  }

  [[nodiscard]] bool is_wanted() const { return wanted_ || clean_; }
  [[nodiscard]] bool cleans() const { return clean_; }

  Result<void> fill(std::span<const std::string> words, SubcommandLine& line) {
    TRY(check_options());
    daemon::DirectPlan direct = std::move(line.plan.direct.back());
    line.plan.direct.clear();
    if (clean_) {
      if (!words.empty()) return fail(Errc::usage, "map: --clean takes no mapping");
      plan_.action = daemon::KernelPlan::Action::clean;
      line.plan.kernel.push_back(std::move(plan_));
      return {};
    }
    for (std::size_t i = 0; i < words.size(); i += 2) {
      KernelMapping mapping = TRY(parse_kernel_mapping(words[i], words[i + 1]));
      std::ranges::move(mapping.in_kernel, std::back_inserter(plan_.forwards));
      std::ranges::move(mapping.in_user_space, std::back_inserter(direct.forwards));
    }
    if (plan_.forwards.empty())
      return fail(
          Errc::usage,
          "map: nothing for --kernel to do: without a bind address, port is on this machine alone (say "
          "*:port), and the kernel does not map loopback");
    TRY(check_overlaps(direct.forwards));
    if (print_) plan_.action = daemon::KernelPlan::Action::print;
    if (!print_ && !direct.forwards.empty()) line.plan.direct.push_back(std::move(direct));
    line.plan.kernel.push_back(std::move(plan_));
    return {};
  }

 private:
  Result<void> check_options() const {
    for (const CLI::Option* option : app_.parse_order()) {
      const std::string name = option->get_name();
      if (std::ranges::find(options_, option) != options_.end() || !name.starts_with("--")) continue;
      if (name == "--log-file" || name == "--log-format" || name == "--user" || name == "--no-sandbox")
        continue;
      return fail(Errc::usage, fmt::format("map: {} is for user space: it does not go with {}", name,
                                           clean_ ? "--clean" : "--kernel"));
    }
    return {};
  }

  CLI::App& app_;
  daemon::KernelPlan plan_;
  std::vector<const CLI::Option*> options_;
  bool wanted_ = false, print_ = false, clean_ = false;
};

}  // namespace

Result<void> read_map_line(std::span<const std::string_view> arguments, const Environment&,
                           SubcommandLine& line) {
  daemon::DirectPlan& plan = line.plan.direct.emplace_back();
  std::vector<std::string> words;
  CLI::App app(kAboutMap, "culvert map");
  app.footer(kMapExamples);
  app.add_option("mapping", words, "LISTEN TARGET, any number of pairs")->type_name("");
  Targets targets(app, plan);
  Common common(app, plan);
  add_privilege_options(app, line.plan);
  bool opens = false;
  add_open_gateway(app, opens);
  Kernel kernel(app);
  SubcommandReader reader(app, line);
  if (!TRY(reader.read(arguments))) return {};
  if (opens) line.plan.gateway.emplace().listeners = true;

  if (words.empty() && !kernel.cleans())
    return fail(Errc::usage, "map: LISTEN and TARGET expected (see culvert map --help)");
  if (words.size() % 2 != 0)
    return fail(Errc::usage,
                fmt::format("map: {} has no TARGET (see culvert map --help)", in_quotes(words.back())));
  if (kernel.is_wanted()) return kernel.fill(words, line);
  for (std::size_t i = 0; i < words.size(); i += 2) {
    if (needs_kernel(words[i]))
      return fail(Errc::usage, fmt::format("map: {} needs --kernel", in_quotes(words[i])));
    for (daemon::DirectForward& forward : TRY(parse_mapping(words[i], words[i + 1])))
      plan.forwards.push_back(std::move(forward));
  }
  for (daemon::DirectForward& forward : plan.forwards) forward.listen.replace_dead = true;
  TRY(check_overlaps(plan.forwards));
  TRY(targets.fill());
  TRY(common.fill());
  if (plan.transparent && plan.source)
    return fail(Errc::usage, "--transparent and --source do not go together");
  const bool has_names = !plan.names.empty();
  const bool names_all = std::ranges::find(plan.names, "*", &daemon::NamedTargets::name) != plan.names.end();
  for (const daemon::DirectForward& forward : plan.forwards) {
    const bool is_udp = forward.transport == daemon::Transport::udp;
    if (forward.targets.empty() && !has_names)
      return fail(Errc::usage, "map: a TARGET - needs --sni (see culvert map --help)");
    if (names_all && !forward.targets.empty())
      return fail(Errc::usage, "map: --sni *= and a TARGET are for the same streams: TARGET - goes with it");
    if (is_udp && forward.targets.size() > 1 && plan.checks && plan.checks->port == 0)
      return fail(Errc::usage, "map: --check of udp targets needs --check-port, a TCP port of theirs");
    if (is_udp && (has_names || plan.proxy_header_to || !plan.proxy_header_from.empty()))
      return fail(Errc::usage, "map: --sni and PROXY headers are of streams, not of udp");
    if (forward.ports > 1 && has_names) return fail(Errc::usage, "map: --sni and a range do not go together");
  }
  return {};
}

Result<void> read_proxy_line(std::span<const std::string_view> arguments, const Environment& environment,
                             SubcommandLine& line) {
  daemon::DirectPlan& plan = line.plan.direct.emplace_back();
  std::vector<std::string> places, rules;
  std::string users, advertise;
  CLI::App app(kAboutProxy, "culvert proxy");
  app.footer(kProxyExamples);
  app.add_option("port", places, "PORT, or several")->type_name("");
  add_repeated(app, "--connect", rules,
               "[!]HOST:PORTS where clients may go, as in the rules of a server (*:*)");
  app.add_option("--advertise", advertise,
                 "address where SOCKS clients are told to send their datagrams (the one that they came to)");
  app.add_option("--users", users, "file of user:password lines: who may use it (everybody)");
  Common common(app, plan);
  add_privilege_options(app, line.plan);
  SubcommandReader reader(app, line);
  if (!TRY(reader.read(arguments))) return {};

  if (places.empty()) return fail(Errc::usage, "proxy: PORT expected (see culvert proxy --help)");
  for (const std::string& text : places) {
    daemon::DirectForward& forward = plan.forwards.emplace_back();
    forward.is_proxy = true;
    forward.listen = TRY(parse_dynamic_forward(text)).listen;
    auto* place = std::get_if<relay::HostPort>(&forward.listen.endpoint);
    if (place != nullptr && place->host.empty()) place->host = "localhost";
    forward.listen.replace_dead = true;
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
  if (!advertise.empty()) {
    plan.advertise = IpAddress::parse(advertise);
    if (!plan.advertise)
      return in_option("--advertise", {Errc::usage, in_quotes(advertise) + " is not an address"});
  }
  if (!users.empty()) plan.proxy_accounts_file = TRY(expand_tilde(users, environment.home));
  return common.fill();
}

}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
#include "cli/open.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/time.hpp"
#include "cli/endpoint_spec.hpp"
#include "cli/spec_fields.hpp"
#include "cli/values.hpp"
#include "daemon/open_record.hpp"
#include "net/addresses.hpp"

namespace culvert::cli {
namespace {

using gateway::Protocol;

constexpr const char* kOpenAbout =
    "Has the home router open a port and lead it here, by PCP, NAT-PMP or UPnP, and for IPv6 its firewall; "
    "renews "
    "that, follows restarts and changes of the router, and closes it at the end.\n"
    "PORT: port[-port][/tcp|/udp|/tcp+udp]; tcp if nothing is said.";

constexpr const char* kOpenExamples =
    "examples:\n"
    "  culvert open 8080                             culvert open 51820/udp 6881-6889/tcp+udp\n"
    "  culvert open 443 --to 8443                    culvert open 2222 --to 192.168.1.7:22\n"
    "  culvert open --list                           culvert open --close 8080\n"
    "exit: 0 ended by a signal; 255 failed; 128+N signal N cut it off";

// What a PORT stands for.
struct Range {
  std::vector<Protocol> protocols;
  std::uint16_t first = 0, count = 1;
};

Result<Range> range_of(std::string_view text) {
  Range range;
  const auto slash = text.find('/');
  const std::string_view protocol = slash == std::string_view::npos ? "tcp" : text.substr(slash + 1);
  if (protocol == "tcp" || protocol == "tcp+udp") range.protocols.push_back(Protocol::tcp);
  if (protocol == "udp" || protocol == "tcp+udp") range.protocols.push_back(Protocol::udp);
  if (range.protocols.empty()) return wrong(text, "not port[-port][/tcp|/udp|/tcp+udp]");
  const std::string_view ports = text.substr(0, slash);
  const auto dash = ports.find('-');
  const bool is_range = dash != std::string_view::npos && ports[0] >= '0' && ports[0] <= '9';
  range.first = TRY(parse_port(is_range ? ports.substr(0, dash) : ports));
  if (!is_range) return range;
  const std::uint16_t last = TRY(parse_port(ports.substr(dash + 1)));
  if (last < range.first) return wrong(text, "a range that ends before it begins");
  range.count = static_cast<std::uint16_t>(last - range.first + 1);
  return range;
}

// The router is asked for each once: a second mapping of the same port would never have an answer.
Result<void> check_distinct(const std::vector<Range>& ranges) {
  std::set<std::pair<Protocol, unsigned>> seen;
  for (const Range& range : ranges) {
    for (const Protocol protocol : range.protocols) {
      for (unsigned port = range.first; port < range.first + unsigned{range.count}; ++port) {
        if (!seen.emplace(protocol, port).second)
          return fail(Errc::usage,
                      fmt::format("open: port {}/{} is named twice", port, gateway::name_of(protocol)));
      }
    }
  }
  return {};
}

// Where an open port leads.
struct WhereTo {
  std::optional<std::string> host;  // none: this machine, where the router can lead by itself
  std::uint16_t port;
};

Result<WhereTo> where_to(const std::string& text) {
  if (text.find(':') == std::string::npos) return WhereTo{std::nullopt, TRY(parse_port(text))};
  const relay::HostPort place = TRY(parse_stdio_destination(text));
  const auto address = IpAddress::parse(place.host);
  const bool is_loopback =
      address && known_range(*address) && known_range(*address)->kind == AddressKind::loopback;
  if (address && !is_loopback && net::is_own(address->normalised())) return WhereTo{std::nullopt, place.port};
  return WhereTo{place.host, place.port};
}

// A listener here that the router leads to, and a forward from it.
daemon::DirectForward forward_of(Protocol protocol, const Range& range, const WhereTo& to) {
  daemon::DirectForward forward;
  forward.listen.endpoint = relay::HostPort{"*", range.first};
  forward.transport = protocol == Protocol::udp ? daemon::Transport::udp : daemon::Transport::tcp;
  forward.targets.emplace_back(relay::HostPort{*to.host, to.port});
  forward.outside = range.first;
  return forward;
}

constexpr std::size_t kMostPorts = 256;

std::string line_of(const daemon::OpenRecord& record, const daemon::OpenPortRecord& port) {
  return fmt::format("{} {} -> {} ({}, router {}, {} {})\n", port.protocol, port.outside, port.inside,
                     port.by, port.router, record.is_running ? "process" : "left by the killed process",
                     record.pid);
}

// An object a line.
std::string json_of(const daemon::OpenRecord& record, daemon::OpenPortRecord port) {
  port.nonce = {};
  const std::string one = daemon::encode_open_record(std::span(&port, 1));
  return fmt::format("{},\"pid\":{},\"running\":{}}}\n", one.substr(1, one.size() - 3), record.pid,
                     record.is_running);
}

// By port, whoever keeps it.
std::string list_text(const std::vector<daemon::OpenRecord>& records, bool as_json) {
  std::multimap<std::pair<std::uint16_t, std::string>, std::string> lines;
  for (const daemon::OpenRecord& record : records) {
    for (const daemon::OpenPortRecord& port : record.ports)
      lines.emplace(std::pair(port.port, port.protocol),
                    as_json ? json_of(record, port) : line_of(record, port));
  }
  std::string text;
  for (const auto& [port, line] : lines) text += line;
  return text;
}

// Ends the processes that keep these ports open, if they keep no other ones.
Result<std::string> close(const std::vector<Range>& ranges) {
  const std::string folder = daemon::open_records_folder();
  const auto is_meant = [&ranges](const daemon::OpenPortRecord& port) {
    return std::ranges::any_of(ranges, [&port](const Range& range) {
      return port.port >= range.first && port.port < range.first + unsigned{range.count} &&
             std::ranges::any_of(
                 range.protocols, [&port](Protocol one) { return gateway::name_of(one) == port.protocol; });
    });
  };
  std::vector<std::int64_t> ended;
  std::string text;
  std::optional<std::int64_t> killed;
  for (const daemon::OpenRecord& record : daemon::read_open_records(folder, unix_now())) {
    if (std::ranges::none_of(record.ports, is_meant)) continue;
    if (!record.is_running) {
      killed = record.pid;
      continue;
    }
    const auto other = std::ranges::find_if_not(record.ports, is_meant);
    if (other != record.ports.end())
      return fail(Errc::usage,
                  fmt::format("--close: process {} keeps {} {} open, too: name all of its ports, or end it",
                              record.pid, other->protocol, other->outside));
    if (::kill(static_cast<pid_t>(record.pid), SIGTERM) != 0)
      return fail_errno(fmt::format("--close: cannot end process {}", record.pid), errno);
    ended.push_back(record.pid);
    text += list_text({record}, false);
  }
  if (ended.empty() && killed)
    return fail(
        Errc::not_found,
        fmt::format("--close: the process {} that opened it was killed: the router closes it at its time; "
                    "opening and closing it once more does so now",
                    *killed));
  if (ended.empty())
    return fail(Errc::not_found, "--close: no culvert of this user keeps that open (see --list)");
  constexpr int kMostRounds = 350;  // as long as a slow router may take for many ports
  const auto lives = [&ended](const daemon::OpenRecord& one) {
    return one.is_running && std::ranges::find(ended, one.pid) != ended.end();
  };
  for (int round = 0; std::ranges::any_of(daemon::read_open_records(folder, unix_now()), lives); ++round) {
    if (round == kMostRounds)
      return fail(Errc::timed_out, "--close: it has been told to, and has not ended yet");
    ::usleep(100'000);
  }
  return text;
}

}  // namespace

Result<void> read_open_line(std::span<const std::string_view> arguments, const Environment&,
                            SubcommandLine& line) {
  std::vector<std::string> words;
  std::string to, lifetime;
  CLI::App app(kOpenAbout, "culvert open");
  app.footer(kOpenExamples);
  app.add_option("port", words, "PORT, or several")->type_name("");
  app.add_option("--to", to, "[host:]port where it leads, of a single PORT (the same port of this machine)");
  app.add_option("--lifetime", lifetime,
                 "how long the router keeps it open by itself (2h); renewed at half of it");
  bool lists = false, closes = false, as_json = false;
  auto* const list = app.add_flag("--list", lists, "print which ports culverts of this user keep open");
  app.add_flag("--json", as_json, "with --list: an object a line")->needs(list);
  app.add_flag("--close", closes, "close PORT: end the culvert that keeps it open")->excludes(list);
  SubcommandReader reader(app, line);
  if (!TRY(reader.read(arguments))) return {};
  if (lists) {
    if (!words.empty()) return fail(Errc::usage, "open: --list takes no PORT, it prints them all");
    line.answer = list_text(daemon::read_open_records(daemon::open_records_folder(), unix_now()), as_json);
    return {};
  }

  if (words.empty()) return fail(Errc::usage, "open: PORT expected (see culvert open --help)");
  std::vector<Range> ranges;
  std::size_t count = 0;
  for (const std::string& word : words) {
    ranges.push_back(TRY(range_of(word)));
    count += ranges.back().count * ranges.back().protocols.size();
  }
  if (closes) {
    line.answer = TRY(close(ranges));
    return {};
  }
  if (count > kMostPorts)
    return fail(Errc::usage,
                fmt::format("open: {} ports are more than routers take; {} at most", count, kMostPorts));
  TRY(check_distinct(ranges));
  daemon::GatewayPlan& plan = line.plan.gateway.emplace();
  plan.is_required = true;
  if (!lifetime.empty()) {
    const auto time = parse_time(lifetime);
    if (!time) return in_option("--lifetime", time.error());
    plan.lifetime = std::chrono::duration_cast<std::chrono::seconds>(*time);
    // Half of it has to be worth a renewal.
    if (plan.lifetime < std::chrono::seconds(10) || plan.lifetime > std::chrono::hours(24 * 7))
      return in_option("--lifetime", {Errc::usage, "10 seconds to 7 days"});
  }
  std::optional<WhereTo> destination;
  if (!to.empty()) {
    auto read = where_to(to);
    if (!read) return in_option("--to", read.error());
    if (ranges.size() != 1 || ranges[0].count != 1)
      return in_option("--to", {Errc::usage, "one PORT at a time leads elsewhere"});
    destination = std::move(*read);
  }
  for (const Range& range : ranges) {
    for (const Protocol protocol : range.protocols) {
      if (destination && destination->host) {
        if (line.plan.direct.empty()) line.plan.direct.emplace_back();
        line.plan.direct[0].forwards.push_back(forward_of(protocol, range, *destination));
        plan.listeners = true;
        continue;
      }
      for (unsigned port = range.first; port < range.first + unsigned{range.count}; ++port) {
        const auto outside = static_cast<std::uint16_t>(port);
        plan.ports.push_back({protocol, destination ? destination->port : outside, outside});
      }
    }
  }
  return {};
}

}  // namespace culvert::cli

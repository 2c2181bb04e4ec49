// SPDX-License-Identifier: Apache-2.0
#include "cli/open.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/endpoint_spec.hpp"
#include "cli/spec_fields.hpp"
#include "cli/values.hpp"
#include "net/addresses.hpp"
#include "net/route_watch.hpp"

namespace culvert::cli {
namespace {

using gateway::Protocol;

constexpr const char* kAbout =
    "Has the home router open a port and lead it here, by PCP, NAT-PMP or UPnP, and for IPv6 its firewall; "
    "renews "
    "that, follows restarts and changes of the router, and closes it at the end.\n"
    "PORT: port[-port][/tcp|/udp|/tcp+udp]; tcp if nothing is said.";

constexpr const char* kExamples =
    "examples:\n"
    "  culvert open 8080                             culvert open 51820/udp 6881-6889/tcp+udp\n"
    "  culvert open 443 --to 8443                    culvert open 2222 --to 192.168.1.7:22\n"
    "  culvert open --list                           culvert open --close 8080\n"
    "exit: 0 ended by a signal; 255 failed";

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
  if (address && !is_loopback && net::is_own_address(net::asio_address_of(*address)))
    return WhereTo{std::nullopt, place.port};
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

}  // namespace

Result<void> read_open_line(std::span<const std::string_view> arguments, const Environment&,
                            SubcommandLine& line) {
  std::vector<std::string> words;
  std::string to, lifetime;
  CLI::App app(kAbout, "culvert open");
  app.footer(kExamples);
  app.add_option("port", words, "PORT, or several")->type_name("");
  app.add_option("--to", to, "[host:]port where it leads, of a single PORT (the same port of this machine)");
  app.add_option("--lifetime", lifetime,
                 "how long the router keeps it open by itself (2h); renewed at half of it");
  SubcommandReader reader(app, line);
  if (!TRY(reader.read(arguments))) return {};

  if (words.empty()) return fail(Errc::usage, "open: PORT expected (see culvert open --help)");
  daemon::GatewayPlan& plan = line.plan.gateway.emplace();
  plan.is_required = true;
  if (!lifetime.empty()) {
    const auto time = parse_time(lifetime);
    if (!time) return in_option("--lifetime", time.error());
    plan.lifetime = std::chrono::duration_cast<std::chrono::seconds>(*time);
    if (plan.lifetime < std::chrono::seconds(1) || plan.lifetime > std::chrono::hours(24 * 7))
      return in_option("--lifetime", {Errc::usage, "1 second to 7 days"});
  }
  std::vector<Range> ranges;
  std::size_t count = 0;
  for (const std::string& word : words) {
    ranges.push_back(TRY(range_of(word)));
    count += ranges.back().count * ranges.back().protocols.size();
  }
  if (count > kMostPorts)
    return fail(Errc::usage,
                fmt::format("open: {} ports are more than routers take; {} at most", count, kMostPorts));
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

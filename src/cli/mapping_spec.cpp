// SPDX-License-Identifier: Apache-2.0
// The words of `culvert map`, read with the fields of endpoint_spec.cpp.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "cli/endpoint_spec.hpp"
#include "cli/spec_fields.hpp"
#include "cli/values.hpp"

namespace culvert::cli {
namespace {

using daemon::DirectForward;
using daemon::Transport;

struct Place {
  relay::Endpoint endpoint;
  std::uint16_t ports = 1;
  std::string text;  // as it was given

  [[nodiscard]] bool is_path() const { return std::holds_alternative<relay::UnixPath>(endpoint); }
};

// "80", "8000-8010", "http". A service's name may have a '-' in it, a range begins with a digit.
Result<std::pair<std::uint16_t, std::uint16_t>> ports_of(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos || text[0] < '0' || text[0] > '9') {
    const std::uint16_t port = TRY(parse_port(text, true));
    return std::pair(port, std::uint16_t{1});
  }
  const std::uint16_t first = TRY(parse_port(text.substr(0, dash)));
  const std::uint16_t last = TRY(parse_port(text.substr(dash + 1)));
  if (last < first)
    return fail(Errc::usage, fmt::format("the range {} ends before it begins", in_quotes(text)));
  return std::pair(first, static_cast<std::uint16_t>(last - first + 1));
}

Result<Place> place_of(std::string_view text, bool listens) {
  Place place;
  place.text = text;
  if (text == "@") return wrong(text, "an abstract socket has a name: @name");
  if (text.starts_with('/') || text.starts_with('@')) {
    place.endpoint = TRY(path_of({.text = std::string(text), .is_path = true}));
    return place;
  }
  const std::vector<Field> fields = TRY(fields_of(text));
  const bool has_host = fields.size() == 2;
  if (fields.size() > 2 || (!listens && !has_host)) {
    return wrong(text, listens ? "not [tcp/|udp/|tcp+udp/][bind:]port[-port], a /path or an @name (IPv6 in "
                                 "[brackets])"
                               : "not host:port[-port], a /path or an @name (IPv6 in [brackets])");
  }
  const auto [first, count] = TRY(ports_of(fields.back().text));
  std::string host = has_host ? fields[0].text : "localhost";
  if (listens && host.empty()) host = "*";
  if (!listens || host != "*") TRY(check_host_name(host));
  if (first == 0 && !listens) return wrong(text, "a target has no port 0");
  place.endpoint = relay::HostPort{std::move(host), first};
  place.ports = count;
  return place;
}

std::string count_of(std::uint16_t ports) {
  return ports == 1 ? std::string("1 port") : fmt::format("{} ports", ports);
}

struct Transports {
  bool tcp = true;
  bool udp = false;
};

Transports take_transports(std::string_view& text) {
  const auto takes = [&](std::string_view prefix) {
    if (!equal_ignoring_case(text.substr(0, prefix.size()), prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
  };
  if (takes("tcp+udp/") || takes("udp+tcp/")) return {true, true};
  if (takes("udp/")) return {false, true};
  (void)takes("tcp/");
  return {};
}

bool share_an_address(const relay::HostPort& a, const relay::HostPort& b) {
  return a.host == b.host || a.host == "*" || b.host == "*";
}

}  // namespace

Result<std::vector<DirectForward>> parse_mapping(std::string_view listen, std::string_view targets) {
  const std::string_view given = listen;
  const Transports transports = take_transports(listen);
  Place at = TRY(place_of(listen, true));
  DirectForward forward;
  forward.ports = at.ports;
  for (const std::string_view word : split(targets, ',')) {
    if (targets == "-") break;
    Place target = TRY(place_of(word, false));
    if (target.ports != at.ports) {
      return fail(Errc::usage,
                  fmt::format("{} has {}, and {} has {}: a range maps one to one", in_quotes(given),
                              count_of(at.ports), in_quotes(word), count_of(target.ports)));
    }
    if (transports.udp && target.is_path())
      return wrong(word, "a Unix socket carries streams alone, not udp");
    forward.targets.push_back(std::move(target.endpoint));
  }
  if (transports.udp && at.is_path()) return wrong(given, "a Unix socket carries streams alone, not udp");
  if (transports.udp && transports.tcp && std::get<relay::HostPort>(at.endpoint).port == 0)
    return wrong(given, "port 0 would be another one for udp than for tcp");
  forward.listen.endpoint = std::move(at.endpoint);

  std::vector<DirectForward> forwards;
  if (transports.tcp) forwards.push_back(forward);
  if (transports.udp) {
    forward.transport = Transport::udp;
    forwards.push_back(std::move(forward));
  }
  return forwards;
}

Result<std::vector<relay::Endpoint>> parse_targets(std::string_view text) {
  std::vector<relay::Endpoint> targets;
  for (const std::string_view word : split(text, ',')) {
    Place place = TRY(place_of(word, false));
    if (place.ports != 1) return wrong(word, "a range has no place here");
    targets.push_back(std::move(place.endpoint));
  }
  return targets;
}

Result<void> check_overlaps(std::span<const DirectForward> forwards) {
  for (std::size_t i = 0; i < forwards.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const DirectForward &a = forwards[j], &b = forwards[i];
      if (a.transport != b.transport) continue;
      const auto* place_a = std::get_if<relay::HostPort>(&a.listen.endpoint);
      const auto* place_b = std::get_if<relay::HostPort>(&b.listen.endpoint);
      if (place_a == nullptr || place_b == nullptr) {
        if (a.listen.endpoint == b.listen.endpoint)
          return fail(Errc::usage, fmt::format("two forwards listen at {}", a.listen.endpoint));
        continue;
      }
      if (place_a->port == 0 || place_b->port == 0 || !share_an_address(*place_a, *place_b)) continue;
      const std::uint32_t first = std::max(place_a->port, place_b->port);
      const std::uint32_t end =
          std::min<std::uint32_t>(place_a->port + a.ports, std::uint32_t{place_b->port} + b.ports);
      if (first < end)
        return fail(Errc::usage, fmt::format("two forwards listen at {} port {}",
                                             a.transport == Transport::udp ? "udp" : "tcp", first));
    }
  }
  return {};
}

}  // namespace culvert::cli

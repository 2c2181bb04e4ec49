// SPDX-License-Identifier: Apache-2.0
#include "files/forward_rule.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "base/text.hpp"
#include "files/host_pattern.hpp"

namespace culvert::files {
namespace {

constexpr std::size_t kMaxPath = 107;  ///< bytes: sun_path without its zero
constexpr std::size_t kMaxName = 255;
constexpr std::string_view kUnix = "unix:";

std::optional<std::uint16_t> port_of(std::string_view digits) {
  unsigned value = 0;
  if (digits.empty() || digits.size() > 5 || digits[0] == '0') return std::nullopt;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  if (value > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(value);
}

std::unexpected<Error> wrong(std::string_view text, std::string_view why) {
  return fail(Errc::malformed, fmt::format("\"{}\": {}", printable(text, 200), why));
}

bool consists_of(std::string_view text, std::string_view letters) {
  return text.find_first_not_of(letters) == text.npos;
}

/// "10.*" looks like a network and would match the name "10.example.org".
bool is_numeric(std::string_view host) {
  if (host.find_first_of("/:") != host.npos || consists_of(host, "0123456789.*?")) return true;
  const std::string_view last = host.substr(host.rfind('.') + 1);
  return last.starts_with("0x") || (!last.empty() && consists_of(last, "0123456789"));
}

struct HostAndPorts {
  std::string host;  ///< in lower case, without brackets
  std::string_view ports;
};

/// "HOST:PORTS", "[ADDRESS]:PORTS", "[ADDRESS]/BITS:PORTS", "[ADDRESS/BITS]:PORTS".
Result<HostAndPorts> split(std::string_view entry, std::string_view text) {
  const std::size_t colon = entry.rfind(':');
  if (colon == entry.npos) return wrong(text, "port is missing: write HOST:PORT, or HOST:* for every port");
  std::string host = lower(entry.substr(0, colon));
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == host.npos) return wrong(text, "port is missing, or a bracket is not closed");
    host.erase(end, 1).erase(0, 1);
    if (end - 1 < host.size() && host[end - 1] != '/') return wrong(text, "write [ADDRESS]:PORT");
    if (host.find(':') == host.npos) return wrong(text, "brackets are for IPv6 addresses");
  } else if (host.find(':') != host.npos) {
    return wrong(text, "write IPv6 addresses in brackets: [ADDRESS]:PORT");
  }
  if (host.ends_with('.')) host.pop_back();
  if (host.empty()) return wrong(text, "host is missing: \"*\" is every host");
  return HostAndPorts{std::move(host), entry.substr(colon + 1)};
}

Result<void> set_network(ForwardRule& rule, std::string_view host) {
  const auto network = IpNetwork::parse(host);
  if (!network) return wrong(rule.text, network.error().message);
  const IpNetwork normal = network->normalised();
  // Nothing would ever match: rules are asked about the IPv4 address.
  if (!(normal == *network))
    return wrong(rule.text, fmt::format("these are IPv4 addresses: write {}", normal.text()));
  rule.kind = ForwardRule::Kind::network;
  rule.network = *network;
  return {};
}

/// Takes "!" and "unix:PATH" apart; what is left is for the caller.
Result<std::string_view> start(ForwardRule& rule, std::string_view text) {
  rule.text = text;
  rule.denies = text.starts_with('!');
  if (rule.denies) text.remove_prefix(1);
  if (!text.starts_with(kUnix)) return text;
  text.remove_prefix(kUnix.size());
  const auto path = normal_path(text);
  if (!path) return wrong(rule.text, path.error().message);
  if (*path != text) return wrong(rule.text, fmt::format("write unix:{}", *path));
  rule.kind = ForwardRule::Kind::path;
  rule.pattern = *path;
  return std::string_view{};
}

/// What both kinds of rules may say of the host. False: it is something else, a name.
Result<bool> set_address(ForwardRule& rule, std::string_view host) {
  if (host == "*") {
    rule.kind = ForwardRule::Kind::any;
  } else if (host == "localhost") {
    rule.kind = ForwardRule::Kind::localhost;
  } else if (is_numeric(host)) {
    TRY(set_network(rule, host));
  } else {
    return false;
  }
  return true;
}

}  // namespace

Result<PortRange> parse_ports(std::string_view text) {
  if (text == "*") return PortRange{};
  const std::size_t dash = text.find('-');
  const auto first = port_of(text.substr(0, dash));
  const auto last = dash == text.npos ? first : port_of(text.substr(dash + 1));
  if (!first || !last || *first > *last) {
    return fail(Errc::malformed,
                fmt::format("\"{}\" is no port, no range like 8000-8999 and not *", printable(text, 100)));
  }
  return PortRange{*first, *last};
}

Result<ForwardRule> ForwardRule::parse_connect(std::string_view text) {
  ForwardRule rule;
  const std::string_view rest = TRY(start(rule, text));
  if (rule.kind == Kind::path) return rule;
  const HostAndPorts parts = TRY(split(rest, text));
  rule.ports = TRY(parse_ports(parts.ports));
  if (TRY(set_address(rule, parts.host))) return rule;
  if (parts.host == "self") {
    rule.kind = Kind::self;
  } else {
    constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789._-*?";
    if (parts.host.size() > kMaxName || !consists_of(parts.host, kLetters))
      return wrong(text, "this is no host name, and no pattern of one");
    rule.kind = Kind::name;
    rule.pattern = parts.host;
  }
  return rule;
}

Result<ForwardRule> ForwardRule::parse_listen(std::string_view text) {
  ForwardRule rule;
  const std::string_view rest = TRY(start(rule, text));
  if (rule.kind == Kind::path) return rule;
  if (rest.find_first_of(":[") == rest.npos) {
    rule.kind = Kind::standard;
    rule.ports = TRY(parse_ports(rest));
    return rule;
  }
  const HostAndPorts parts = TRY(split(rest, text));
  rule.ports = TRY(parse_ports(parts.ports));
  if (TRY(set_address(rule, parts.host))) return rule;
  return wrong(text, "where to listen is an address, a network or \"*\", not a name");
}

bool is_localhost(const IpAddress& address) {
  static const IpAddress v6 = *IpAddress::parse("::1");
  return address == IpAddress::v4(0x7f000001) || address == v6;
}

Result<std::string> normal_path(std::string_view path) {
  const auto denied = [](std::string_view why) {
    return fail(Errc::denied, fmt::format("path of a socket {}", why));
  };
  if (!path.starts_with('/')) return denied("does not begin with a slash");
  if (std::ranges::any_of(path, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }))
    return denied("has control characters in it");
  std::string normal;
  std::string_view part;
  while (!path.empty()) {
    path.remove_prefix(1);
    part = path.substr(0, path.find('/'));
    path.remove_prefix(part.size());
    if (part == "..") return denied("has \"..\" in it");
    if (part.empty() || part == ".") continue;
    normal += '/';
    normal += part;
  }
  if (part.empty() || part == ".") return denied("ends in a folder");
  if (normal.size() > kMaxPath) return denied("is too long");
  return normal;
}

bool matches_path(std::string_view path, std::string_view pattern) {
  for (;;) {
    const std::string_view part = path.substr(0, path.find('/'));
    const std::string_view part_pattern = pattern.substr(0, pattern.find('/'));
    if (!matches_pattern(part, part_pattern, LetterCase::exact)) return false;
    path.remove_prefix(part.size());
    pattern.remove_prefix(part_pattern.size());
    if (path.empty() || pattern.empty()) return path.empty() && pattern.empty();
    path.remove_prefix(1);
    pattern.remove_prefix(1);
  }
}

}  // namespace culvert::files

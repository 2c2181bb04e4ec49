// SPDX-License-Identifier: Apache-2.0
#include "cli/kernel_mapping.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/ip_address.hpp"
#include "cli/endpoint_spec.hpp"
#include "cli/spec_fields.hpp"
#include "cli/values.hpp"

namespace culvert::cli {
namespace {

using daemon::DirectForward;
using daemon::KernelForward;

constexpr std::uint8_t kTcp = 6, kUdp = 17;

// A port takes a socket of each family: more of them are hardly meant for clients on this machine.
constexpr std::uint16_t kMostOnLoopback = 256;

struct NamedProtocol {
  std::string_view name;
  std::uint8_t number;
};
constexpr std::array kOfKernel = {NamedProtocol{"sctp/", 132}, NamedProtocol{"dccp/", 33}};
// By number they would take away what this machine itself lives on, or what has ports anyway.
constexpr std::array kNotWhole = {NamedProtocol{"ICMP", 1},    NamedProtocol{"ICMP", 58},
                                  NamedProtocol{"tcp/", kTcp}, NamedProtocol{"udp/", kUdp},
                                  NamedProtocol{"sctp/", 132}, NamedProtocol{"dccp/", 33}};

// "47/" and what is behind it; nothing: another word stands there.
std::optional<std::string_view> number_of(std::string_view listen) {
  const auto slash = listen.find('/');
  if (slash == 0 || slash == std::string_view::npos) return std::nullopt;
  const std::string_view number = listen.substr(0, slash);
  return number.find_first_not_of("0123456789") == std::string_view::npos ? std::optional(number)
                                                                          : std::nullopt;
}

const NamedProtocol* protocol_of_kernel(std::string_view listen) {
  const auto found = std::ranges::find_if(kOfKernel, [&](const NamedProtocol& one) {
    return equal_ignoring_case(listen.substr(0, one.name.size()), one.name);
  });
  return found == kOfKernel.end() ? nullptr : &*found;
}

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  const auto address = IpAddress::parse(host);
  const auto range = address ? known_range(*address) : std::nullopt;
  return range && range->kind == AddressKind::loopback;
}

// What clients on this machine may say for an address that stands for all; empty: it is one address.
std::string loopback_of(const std::string& host) {
  if (host == "*") return "localhost";
  const auto address = IpAddress::parse(host);
  if (!address || !address->is_unspecified()) return "";
  return address->is_v4() ? "127.0.0.1" : "::1";
}

// "80", "8000-8010"
std::string ports_text(std::uint16_t first, std::uint16_t count) {
  return count == 1 ? fmt::format("{}", first) : fmt::format("{}-{}", first, first + count - 1);
}

std::string place_text(const std::string& host, const std::string& ports) {
  const std::string name = host.contains(':') ? fmt::format("[{}]", host) : host;
  return ports.empty() ? name : fmt::format("{}:{}", name, ports);
}

std::string name_of(const KernelForward& forward, std::string_view protocol) {
  const auto ports = [&](std::uint16_t first) {
    return forward.ports == 0 ? std::string() : ports_text(first, forward.ports);
  };
  return fmt::format("{}{} -> {}", protocol, place_text(forward.bind, ports(forward.port)),
                     place_text(forward.host, ports(forward.target_port)));
}

// What stands behind the '/', and TARGET: hosts alone.
Result<std::string> host_of(std::string_view text) {
  if (text.empty() || text == "*") return std::string("*");
  // An IPv6 address needs no brackets here, where no port can follow.
  if (IpAddress::parse(text)) return std::string(text);
  const std::vector<Field> fields = TRY(fields_of(text));
  if (fields.size() != 1 || fields[0].is_path)
    return wrong(text, "a whole protocol has no ports: a host alone");
  if (!IpAddress::parse(fields[0].text)) TRY(check_host_name(fields[0].text));
  return fields[0].text;
}

Result<KernelMapping> whole_protocol(std::string_view number, std::string_view listen,
                                     std::string_view target) {
  KernelForward forward;
  const auto protocol = parse_number(number, 1, 254);
  if (!protocol) return wrong(listen, "protocols have numbers from 1 to 254");
  forward.protocol = static_cast<std::uint8_t>(*protocol);
  const auto refused = std::ranges::find(kNotWhole, forward.protocol, &NamedProtocol::number);
  if (refused != kNotWhole.end()) {
    return wrong(listen, refused->name.ends_with('/') ? fmt::format("say {}port", refused->name)
                                                      : std::string("this machine needs its ICMP itself"));
  }
  forward.bind = TRY(host_of(listen.substr(number.size() + 1)));
  if (is_loopback(forward.bind)) return wrong(listen, "a whole protocol cannot be mapped on loopback");
  forward.host = TRY(host_of(target));
  if (forward.host == "*") return wrong(target, "a target is a host");
  forward.name = name_of(forward, fmt::format("{}/", forward.protocol));
  return KernelMapping{.in_kernel = {std::move(forward)}, .in_user_space = {}};
}

// What the kernel does of a forward that user space could do as well.
Result<void> add(KernelMapping& mapping, DirectForward forward, std::string_view protocol,
                 std::uint8_t number, std::string_view listen, std::string_view target) {
  const auto* at = std::get_if<relay::HostPort>(&forward.listen.endpoint);
  const auto* to = forward.targets.empty() ? nullptr : std::get_if<relay::HostPort>(&forward.targets.front());
  if (forward.targets.size() != 1 || to == nullptr)
    return wrong(target, "with --kernel there is one target, host:port[-port]");
  if (at == nullptr) return wrong(listen, "the kernel maps no Unix sockets");
  if (at->port == 0) return wrong(listen, "with --kernel there is no port 0");
  const bool has_user_space = number == kTcp || number == kUdp;
  if (is_loopback(at->host)) {
    if (!has_user_space) return wrong(listen, "on loopback alone: say *:port for other machines");
    mapping.in_user_space.push_back(std::move(forward));
    return {};
  }
  KernelForward one{.protocol = number,
                    .bind = at->host,
                    .port = at->port,
                    .ports = forward.ports,
                    .host = to->host,
                    .target_port = to->port,
                    .name = {}};
  one.name = name_of(one, protocol);
  mapping.in_kernel.push_back(std::move(one));
  std::string loopback = loopback_of(at->host);
  if (!loopback.empty() && has_user_space && forward.ports <= kMostOnLoopback) {
    forward.listen.endpoint = relay::HostPort{std::move(loopback), at->port};
    forward.is_optional = true;  // something else on this machine may have it: the kernel needs no socket
    mapping.in_user_space.push_back(std::move(forward));
  }
  return {};
}

}  // namespace

Result<KernelMapping> parse_kernel_mapping(std::string_view listen, std::string_view target) {
  if (const auto number = number_of(listen)) return whole_protocol(*number, listen, target);
  KernelMapping mapping;
  const NamedProtocol* of_kernel = protocol_of_kernel(listen);
  if (of_kernel != nullptr) {
    for (DirectForward& forward : TRY(parse_mapping(listen.substr(of_kernel->name.size()), target)))
      TRY(add(mapping, std::move(forward), of_kernel->name, of_kernel->number, listen, target));
    return mapping;
  }
  for (DirectForward& forward : TRY(parse_mapping(listen, target))) {
    const bool is_udp = forward.transport == daemon::Transport::udp;
    TRY(add(mapping, std::move(forward), is_udp ? "udp/" : "tcp/", is_udp ? kUdp : kTcp, listen, target));
  }
  return mapping;
}

bool needs_kernel(std::string_view listen) {
  return protocol_of_kernel(listen) != nullptr || number_of(listen).has_value();
}

}  // namespace culvert::cli

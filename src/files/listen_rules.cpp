// SPDX-License-Identifier: Apache-2.0
// may_listen() of access_rules.hpp.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "files/access_rules.hpp"
#include "files/host_pattern.hpp"

namespace culvert::files {
namespace {

using Kind = ForwardRule::Kind;

bool is_loopback(const IpAddress& address) {
  const auto range = known_range(address);
  return range && range->kind == AddressKind::loopback;
}

/// 0.0.0.0 is every IPv4 address here, and no member of 0.0.0.0/8.
bool covers(const IpNetwork& network, const IpAddress& address) {
  if (!network.contains(address)) return false;
  return !address.is_unspecified() || network.bits() == 0 || network == IpNetwork(address);
}

struct Request {
  std::string bind;  ///< in lower case
  std::vector<IpAddress> addresses;
  std::uint16_t port;

  [[nodiscard]] std::string written_port() const { return port == 0 ? "*" : std::to_string(port); }
};

bool is_standard(const Grants& grants, const IpAddress& address) {
  return std::ranges::find(grants.listen_default, address) != grants.listen_default.end();
}

bool allows(const ForwardRule& rule, const Grants& grants, const Request& request, const IpAddress& address) {
  if (rule.denies) return false;
  // Any port is asked for: one of the rule's. A permit, as in OpenSSH, must be for any port too.
  if (request.port == 0 ? rule.kind == Kind::permit && !rule.ports.is_all()
                        : !rule.ports.contains(request.port))
    return false;
  switch (rule.kind) {
    case Kind::any:
      return true;
    case Kind::network:
      return covers(rule.network, address);
    case Kind::localhost:
      return is_localhost(address);
    case Kind::standard:
      return is_standard(grants, address);
    case Kind::permit:
      if (!matches_pattern(request.bind, rule.pattern, LetterCase::exact)) return false;
      // sshd binds loopback addresses alone unless its GatewayPorts says more: so do permits that name none.
      return rule.pattern.find_first_not_of("*?") != std::string::npos || is_standard(grants, address) ||
             is_loopback(address);
    case Kind::name:
    case Kind::self:
    case Kind::path:
      return false;
  }
  return false;
}

bool forbids(const ForwardRule& rule, const IpAddress& address, std::uint16_t port) {
  if (!rule.denies || !rule.ports.contains(port)) return false;
  switch (rule.kind) {
    case Kind::any:
    case Kind::standard:
      return true;
    case Kind::network:  // who binds every address binds that one
      return rule.network.contains(address) ||
             (address.is_unspecified() && rule.network.first().is_v4() == address.is_v4());
    case Kind::localhost:
      return is_localhost(address) || address.is_unspecified();
    default:
      return false;
  }
}

ListenDecision denied(std::string reason, std::string rule = {}) {
  ListenDecision decision;
  decision.reason = std::move(reason);
  decision.rule = std::move(rule);
  return decision;
}

ListenDecision no_rule_for(const Request& request, bool is_standard_request, RuleForm form) {
  const std::string host = request.addresses.size() == 1 ? request.addresses[0].text() : "*";
  const std::string port = request.written_port();
  const std::string place = is_standard_request ? port : with_port(host, port);
  return denied(fmt::format("no rule allows to listen at {}{}", is_standard_request ? "port " : "", place),
                written_rule(form, "listen", place));
}

/// The option of a key that would do. It is compared with what was asked for, as text.
std::string permit_for(const Request& request, bool is_standard_request) {
  const std::string port = request.written_port();
  if (!is_standard_request && request.addresses.size() != 1) return {};
  return fmt::format("permitlisten=\"{}\"", is_standard_request ? port : with_port(request.bind, port));
}

ListenDecision judge(const Grants& grants, Request request, bool is_standard_request) {
  std::string refused_by;
  std::erase_if(request.addresses, [&](const IpAddress& address) {
    const auto rule = std::ranges::find_if(
        grants.listen, [&](const ForwardRule& r) { return forbids(r, address, request.port); });
    if (rule == grants.listen.end()) return false;
    refused_by = rule->text;
    return true;
  });
  ListenDecision decision;
  const auto collect = [&](std::span<const ForwardRule> rules) {
    for (const IpAddress& address : request.addresses) {
      if (std::ranges::any_of(rules,
                              [&](const ForwardRule& r) { return allows(r, grants, request, address); }))
        decision.addresses.push_back(address);
    }
  };
  if (request.port != 0) {
    decision.ports = {request.port, request.port};
    collect(grants.listen);
  }
  // Of any port, one rule must say which: another may have other ports for other addresses.
  for (auto rule = grants.listen.begin(); request.port == 0 && rule != grants.listen.end(); ++rule) {
    if (!decision.addresses.empty()) break;
    decision.ports = rule->ports;
    collect({&*rule, 1});
  }
  decision.allowed = !decision.addresses.empty();
  if (decision.allowed) return decision;
  if (!refused_by.empty()) return denied(fmt::format("refused by \"{}\"", refused_by));
  ListenDecision refused = no_rule_for(request, is_standard_request, grants.form);
  if (have_permits(grants.listen)) refused.rule = permit_for(request, is_standard_request);
  return refused;
}

}  // namespace

ListenDecision may_listen(const Grants& grants, std::string_view bind, std::uint16_t port) {
  if (!grants.port_forwarding) return denied("port forwarding is not allowed for this key");
  if (bind.size() > kLongestHost) return denied("request names an address that is too long");
  const std::vector<IpAddress> every = {IpAddress::v4(0), *IpAddress::parse("::")};
  Request request{.bind = lower(bind), .addresses = every, .port = port};
  if (bind == "*") return judge(grants, std::move(request), false);
  if (request.bind.empty() && !grants.has_listen_default) {
    if (auto decision = judge(grants, request, false)) return decision;
  }
  const bool is_standard_request = request.bind.empty() || request.bind == "localhost";
  if (is_standard_request) {
    request.addresses = grants.listen_default;
  } else if (const auto address = IpAddress::parse(bind)) {
    request.addresses = {address->normalised()};
  } else {
    return denied(fmt::format("cannot listen at \"{}\": it is no address", printable(bind, 255)));
  }
  return judge(grants, std::move(request), is_standard_request);
}

}  // namespace culvert::files

// SPDX-License-Identifier: Apache-2.0
#include "files/access_rules.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "files/host_pattern.hpp"

namespace culvert::files {
namespace {

using Kind = ForwardRule::Kind;

/// The name that a peer sent may mean something else in a rule ("self", "*"): such a line helps nobody.
bool is_plain_name(std::string_view entry) {
  const auto rule = ForwardRule::parse_connect(entry);
  return rule && rule->kind == Kind::name && entry.find_first_of("*?!") == entry.npos;
}

Decision denied(std::string reason, std::string rule = {}) {
  return {false, std::move(reason), std::move(rule)};
}

constexpr std::string_view kNoForwarding = "port forwarding is not allowed for this key";

/// What somebody wants to connect to.
struct Target {
  std::string_view host;  ///< as requested
  std::string name;       ///< the same in lower case, without a dot at its end; empty: an address
  std::uint16_t port = 0;
  std::optional<IpAddress> address;  ///< normalised
  std::optional<KnownRange> range;   ///< that the address is in
  bool is_own = false;               ///< of this machine, and not in a range

  [[nodiscard]] bool is_local() const {
    return is_own ||
           (range && (range->kind == AddressKind::loopback || range->kind == AddressKind::unspecified));
  }
  /// Only a rule that names this address, or a network in its range, opens it.
  [[nodiscard]] bool is_guarded() const { return is_own || range; }
  [[nodiscard]] bool is_opened_by(const IpNetwork& network) const {
    if (is_own && network.bits() != IpNetwork(*address).bits()) return false;
    return !range || range->network.contains(network);
  }
};

bool permits(const ForwardRule& rule, const Target& target) {
  if (rule.pattern == "*") return !target.is_guarded();
  if (rule.pattern != target.host) return false;
  if (!target.is_guarded()) return true;
  if (target.name == "localhost") return target.range && target.range->kind == AddressKind::loopback;
  const auto address = IpAddress::parse(rule.pattern);
  return address && address->normalised() == *target.address;
}

/// The address is known.
bool allows(const ForwardRule& rule, const Target& target) {
  switch (rule.kind) {
    case Kind::any:
      return !target.is_guarded();
    case Kind::name:
      return !target.is_guarded() && !target.name.empty() && matches_pattern(target.name, rule.pattern);
    case Kind::network:
      return rule.network.contains(*target.address) && target.is_opened_by(rule.network);
    case Kind::localhost:
      return is_localhost(*target.address);
    case Kind::self:
      return target.is_local();
    case Kind::permit:
      return permits(rule, target);
    case Kind::standard:
    case Kind::path:
      return false;
  }
  return false;
}

/// It is not: some address might be allowed.
bool may_allow(const ForwardRule& rule, const Target& target) {
  if (rule.kind == Kind::name) return matches_pattern(target.name, rule.pattern);
  if (rule.kind == Kind::permit) return rule.pattern == "*" || rule.pattern == target.host;
  return rule.kind != Kind::path;
}

bool forbids(const ForwardRule& rule, const Target& target) {
  switch (rule.kind) {
    case Kind::any:
      return true;
    case Kind::name:
      return !target.name.empty() && matches_pattern(target.name, rule.pattern);
    case Kind::network:
      return target.address && rule.network.contains(*target.address);
    case Kind::localhost:
      return target.address && is_localhost(*target.address);
    case Kind::self:
      return target.address && target.is_local();
    default:
      return false;
  }
}

Target target_of(std::string_view host, std::uint16_t port, const std::optional<IpAddress>& resolved,
                 IsOwnAddress is_own) {
  Target target;
  target.host = host;
  target.name = lower(host);
  target.port = port;
  if (target.name.ends_with('.')) target.name.pop_back();
  const auto literal = IpAddress::parse(host);
  // No name has a colon: what cannot be read as an address, since it has a zone, is none either.
  if (literal || host.find(':') != host.npos) target.name.clear();
  if (!resolved && !literal) return target;
  target.address = (resolved ? *resolved : *literal).normalised();
  target.range = known_range(*target.address);
  target.is_own = !(target.range && target.range->kind == AddressKind::loopback) && is_own(*target.address);
  return target;
}

Decision no_rule_for(const Target& target, RuleForm form) {
  const std::string host = printable(target.host, 255);
  if (!target.address) {
    const std::string place = with_port(host, target.port);
    return denied(
        fmt::format("no rule allows to connect to {}", place),
        is_plain_name(place) || target.name == "localhost" ? written_rule(form, "connect", place) : "");
  }
  const std::string address = target.address->text();
  const std::string place = with_port(address, target.port);
  const std::string who = host == address ? address : fmt::format("{} ({})", host, address);
  if (target.is_guarded()) {
    return denied(
        fmt::format("{} is {}, and no rule names that address or a network of its kind with port {}", who,
                    target.is_own ? "an address of this machine" : describe(target.range->kind), target.port),
        written_rule(form, "connect", place));
  }
  return denied(
      fmt::format("no rule allows to connect to {} at port {}", who, target.port),
      written_rule(form, "connect",
                   is_plain_name(with_port(host, target.port)) ? with_port(host, target.port) : place));
}

/// The option of a key that would do. It is compared with what was asked for, as text.
std::string permit_for(const Target& target) {
  ForwardRule permit;
  permit.kind = Kind::permit;
  permit.pattern = target.host;
  if (target.address && !permits(permit, target)) return {};
  const std::string place = with_port(printable(target.host, 255), target.port);
  const bool can_be_written =
      is_plain_name(place) || target.host == "localhost" || IpAddress::parse(target.host);
  return can_be_written ? fmt::format("permitopen=\"{}\"", place) : "";
}

PathDecision judge_path(const Grants& grants, const std::vector<ForwardRule>& rules, std::string_view keyword,
                        std::string_view path) {
  if (!grants.port_forwarding) return {denied(std::string(kNoForwarding)), {}};
  auto normal = normal_path(path);
  if (!normal) return {denied(std::move(normal).error().message), {}};
  bool allowed = false;
  for (const ForwardRule& rule : rules) {
    if (rule.kind != Kind::path || !matches_path(*normal, rule.pattern)) continue;
    if (rule.denies) return {denied(fmt::format("refused by \"{}\"", rule.text)), {}};
    allowed = true;
  }
  if (allowed) return {{true, {}, {}}, *std::move(normal)};
  const bool is_plain_path = normal->find_first_of("*?\"") == normal->npos && printable(*normal) == *normal;
  return {denied(fmt::format("no rule allows the Unix socket {}", printable(*normal)),
                 is_plain_path ? written_rule(grants.form, keyword, "unix:" + *normal) : ""),
          {}};
}

void add_permits(std::vector<ForwardRule>& rules, const std::vector<Permit>& permits, std::string_view name) {
  for (const Permit& permit : permits) {
    ForwardRule rule;
    rule.kind = Kind::permit;
    rule.pattern = permit.host;
    if (permit.port != 0) rule.ports = {permit.port, permit.port};
    rule.text = fmt::format("{}=\"{}:{}\"", name, printable(permit.host, 255),
                            permit.port == 0 ? "*" : std::to_string(permit.port));
    rules.push_back(std::move(rule));
  }
}

/// What is said for the key, by the file and by its own options, instead of what the file says for its user;
/// that user's denials stay.
std::vector<ForwardRule> rules_of(const std::optional<std::vector<ForwardRule>>& user,
                                  const std::optional<std::vector<ForwardRule>>* key,
                                  const std::vector<Permit>& permits, std::string_view name) {
  const bool has_rules = key != nullptr && key->has_value();
  const bool has_own = has_rules || !permits.empty();
  std::vector<ForwardRule> rules;
  if (has_rules) rules = **key;
  for (const ForwardRule& rule : user.value_or(std::vector<ForwardRule>{})) {
    if (!has_own || rule.denies) rules.push_back(rule);
  }
  add_permits(rules, permits, name);
  return rules;
}

std::vector<IpAddress> standard_addresses() { return {IpAddress::v4(0x7f000001), *IpAddress::parse("::1")}; }

void limit_time(Limits& limits, const KeyOptions& options) {
  if (options.expiry)
    limits.until = std::min(limits.until.value_or(*options.expiry + 1), *options.expiry + 1);
}

Grants grants_of(const UserRules& user, const RuleSet* of_key, const KeyOptions& options) {
  Grants grants;
  grants.port_forwarding = options.port_forwarding;
  grants.connect = rules_of(user.rules.connect, of_key == nullptr ? nullptr : &of_key->connect,
                            options.permit_open, "permitopen");
  grants.listen = rules_of(user.rules.listen, of_key == nullptr ? nullptr : &of_key->listen,
                           options.permit_listen, "permitlisten");
  auto said = user.rules.listen_default;
  grants.user_limits = user.rules.limits;
  if (of_key != nullptr) {
    if (of_key->listen_default) said = of_key->listen_default;
    grants.key_limits = of_key->limits;
  }
  grants.has_listen_default = said.has_value();
  grants.listen_default = said.value_or(standard_addresses());
  limit_time(grants.key_limits, options);
  return grants;
}

}  // namespace

std::string written_rule(RuleForm form, std::string_view keyword, std::string_view entry) {
  return form == RuleForm::option ? fmt::format("--{} '{}'", keyword, entry)
                                  : fmt::format("{} = [\"{}\"]", keyword, entry);
}

bool Grants::are_empty() const {
  const auto denies = [](const ForwardRule& rule) { return rule.denies; };
  return !port_forwarding || (std::ranges::all_of(connect, denies) && std::ranges::all_of(listen, denies));
}

Grants grants_for(const UserRules* user, const crypto::PublicKey& key, const KeyOptions& options) {
  static const UserRules nobody;
  if (user == nullptr) user = &nobody;
  const auto own = std::ranges::find(user->keys, key.fingerprint(), &UserRules::OfKey::fingerprint);
  return grants_of(*user, own == user->keys.end() ? nullptr : &own->rules, options);
}

bool have_permits(const std::vector<ForwardRule>& rules) {
  return std::ranges::any_of(rules, [](const ForwardRule& rule) { return rule.kind == Kind::permit; });
}

std::vector<Grants> all_grants(std::span<const UserRules> users) {
  std::vector<Grants> all;
  for (const UserRules& user : users) {
    all.push_back(grants_of(user, nullptr, {}));
    for (const UserRules::OfKey& key : user.keys) all.push_back(grants_of(user, &key.rules, {}));
  }
  return all;
}

Grants grants_for_all(const UserRules* user, const crypto::PublicKey& key, const KeyOptions& options) {
  Grants grants = grants_for(user, key, options);
  const auto is_narrower = [](const ForwardRule& rule) { return !rule.denies && rule.kind != Kind::permit; };
  std::erase_if(grants.connect, is_narrower);
  std::erase_if(grants.listen, is_narrower);
  if (options.permit_open.empty()) {
    grants.connect.push_back(*ForwardRule::parse_connect("*:*"));
    grants.connect.push_back(*ForwardRule::parse_connect("self:*"));
  }
  if (options.permit_listen.empty()) grants.listen.push_back(*ForwardRule::parse_listen("*:*"));
  return grants;
}

Decision may_connect(const Grants& grants, std::string_view host, std::uint16_t port,
                     const std::optional<IpAddress>& resolved, IsOwnAddress is_own) {
  if (!grants.port_forwarding) return denied(std::string(kNoForwarding));
  if (host.empty() || port == 0) return denied("request names no host or no port");
  if (host.size() > kLongestHost) return denied("request names a host that is too long");
  if (host.find('\\') != host.npos) return denied(fmt::format("{} is no host name", printable(host, 255)));
  const Target target = target_of(host, port, resolved, is_own);
  bool allowed = false;
  for (const ForwardRule& rule : grants.connect) {
    if (!rule.ports.contains(port)) continue;
    if (rule.denies && forbids(rule, target)) return denied(fmt::format("refused by \"{}\"", rule.text));
    if (!rule.denies) allowed = allowed || (target.address ? allows(rule, target) : may_allow(rule, target));
  }
  if (allowed) return Decision{true, {}, {}};
  Decision decision = no_rule_for(target, grants.form);
  if (have_permits(grants.connect)) decision.rule = permit_for(target);
  return decision;
}

PathDecision may_connect_path(const Grants& grants, std::string_view path) {
  return judge_path(grants, grants.connect, "connect", path);
}

PathDecision may_listen_path(const Grants& grants, std::string_view path) {
  return judge_path(grants, grants.listen, "listen", path);
}

}  // namespace culvert::files

// SPDX-License-Identifier: Apache-2.0
// Decisions: the first line of the input is the host, bind address or path that is asked for, the second what
// it is resolved to, and each line behind them a rule: "c" connect, "l" listen, "o" permitopen, "p"
// permitlisten.
#include "files/access_rules.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/bytes.hpp"
#include "base/text.hpp"

using namespace culvert;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

std::string_view take_line(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  return line;
}

files::Grants grants_of(std::string_view lines) {
  files::Grants grants;
  grants.listen_default = {IpAddress::v4(0x7f000001), *IpAddress::parse("::1")};
  while (!lines.empty()) {
    std::string_view line = take_line(lines);
    const char kind = line.empty() ? ' ' : line[0];
    line.remove_prefix(std::min<std::size_t>(2, line.size()));
    if (kind == 'c' || kind == 'l') {
      const auto rule =
          kind == 'c' ? files::ForwardRule::parse_connect(line) : files::ForwardRule::parse_listen(line);
      if (rule) (kind == 'c' ? grants.connect : grants.listen).push_back(*rule);
    } else if (kind == 'o' || kind == 'p') {
      files::ForwardRule rule;
      rule.kind = files::ForwardRule::Kind::permit;
      rule.pattern = line;
      if (line.size() % 2 == 0) rule.ports = {80, 80};
      (kind == 'o' ? grants.connect : grants.listen).push_back(rule);
    }
  }
  return grants;
}

/// "permitopen=\"x\"" as a rule.
files::ForwardRule permit_of(const files::Decision& decision) {
  const auto options = files::parse_key_options(decision.rule, [](UnixSeconds local) { return local; });
  require(options && options->permit_open.size() + options->permit_listen.size() == 1);
  const auto& permit = options->permit_open.empty() ? options->permit_listen[0] : options->permit_open[0];
  files::ForwardRule rule;
  rule.kind = files::ForwardRule::Kind::permit;
  rule.pattern = permit.host;
  if (permit.port != 0) rule.ports = {permit.port, permit.port};
  return rule;
}

/// "connect = [\"x\"]" as a rule.
files::ForwardRule rule_of(const files::Decision& decision) {
  if (decision.rule.starts_with("permit")) return permit_of(decision);
  const bool connects = decision.rule.starts_with("connect");
  const std::size_t start = decision.rule.find('"') + 1;
  const std::string_view text =
      std::string_view(decision.rule).substr(start, decision.rule.size() - start - 2);
  const auto rule =
      connects ? files::ForwardRule::parse_connect(text) : files::ForwardRule::parse_listen(text);
  require(rule.has_value());
  return *rule;
}

void check_text(const files::Decision& decision) {
  require(decision.allowed == decision.reason.empty());
  require(!decision.allowed || decision.rule.empty());
  require(decision.reason.find_first_of("\n\x1b") == std::string::npos);
}

bool is_own(const IpAddress& address) {
  return address == *IpAddress::parse("10.0.0.5") || address == *IpAddress::parse("fe80::5");
}

void connect(files::Grants grants, std::string_view host, const std::optional<IpAddress>& address) {
  const auto decision = files::may_connect(grants, host, 80, address, is_own);
  check_text(decision);
  if (decision && address) {
    require(files::may_connect(grants, host, 80, std::nullopt, is_own).allowed || IpAddress::parse(host));
    const IpAddress normal = address->normalised();
    const bool is_guarded = known_range(normal) || is_own(normal);
    using Kind = files::ForwardRule::Kind;
    require(!is_guarded || std::ranges::any_of(grants.connect, [](const files::ForwardRule& rule) {
      return rule.kind != Kind::any && rule.kind != Kind::name && rule.kind != Kind::path &&
             rule.pattern != "*";
    }));
  }
  if (!decision.rule.empty()) {  // what the log says helps
    grants.connect.push_back(rule_of(decision));
    require(files::may_connect(grants, host, 80, address, is_own).allowed);
  }
  grants.connect.push_back(*files::ForwardRule::parse_connect("!*:*"));
  require(!files::may_connect(grants, host, 80, address, is_own));
}

void listen(files::Grants grants, std::string_view bind, std::uint16_t port) {
  const auto decision = files::may_listen(grants, bind, port);
  check_text(decision);
  require(decision.allowed == !decision.addresses.empty());
  require(!decision || decision.ports.contains(port) || port == 0);
  if (!decision.rule.empty()) {
    grants.listen.push_back(rule_of(decision));
    require(files::may_listen(grants, bind, port).allowed);
  }
  grants.listen.push_back(*files::ForwardRule::parse_listen("!*"));
  require(!files::may_listen(grants, bind, port));
}

void use_path(files::Grants grants, std::string_view path) {
  const auto decision = files::may_connect_path(grants, path);
  check_text(decision);
  require(!decision || files::normal_path(decision.path) == decision.path);
  if (decision.rule.empty()) return;
  grants.connect.push_back(rule_of(decision));
  require(files::may_connect_path(grants, path).allowed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest = as_text(ByteView(data, std::min<std::size_t>(size, 4096)));
  const std::string_view host = take_line(rest);
  const auto address = IpAddress::parse(take_line(rest));
  const files::Grants grants = grants_of(rest);
  connect(grants, host, address);
  connect(grants, host, std::nullopt);
  listen(grants, host, 80);
  listen(grants, host, 0);
  use_path(grants, host);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// What somebody may do, as tests write it down and read it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "crypto/key_fixtures_test.hpp"
#include "crypto/private_key.hpp"
#include "files/access_rules.hpp"

namespace culvert::test {

using RuleTexts = std::initializer_list<std::string_view>;

inline std::vector<files::ForwardRule> rules_of(RuleTexts texts,
                                                Result<files::ForwardRule> (*parse)(std::string_view)) {
  std::vector<files::ForwardRule> rules;
  for (const std::string_view text : texts) {
    const auto rule = parse(text);
    EXPECT_TRUE(rule) << text;
    rules.push_back(*rule);
  }
  return rules;
}

inline files::Grants connecting(RuleTexts texts) {
  files::Grants grants;
  grants.connect = rules_of(texts, &files::ForwardRule::parse_connect);
  return grants;
}

inline files::Grants listening(RuleTexts texts) {
  files::Grants grants;
  grants.listen = rules_of(texts, &files::ForwardRule::parse_listen);
  grants.listen_default = {IpAddress::v4(0x7f000001), *IpAddress::parse("::1")};
  return grants;
}

inline const crypto::PublicKey& some_key() {
  static const auto key = crypto::parse_public_key_line(crypto::kKeyFixtures[0].public_line);
  return *key;
}

inline files::KeyOptions key_options(std::string_view text) {
  return files::parse_key_options(text, [](UnixSeconds local) { return local; }).value();
}

/// Of a key that no rule names, with these options.
inline files::Grants permitted(std::string_view options) {
  return files::grants_for(nullptr, some_key(), key_options(options));
}

/// "127.0.0.1 ::1 8000-8999", or the reason.
inline std::string answer(const files::ListenDecision& decision) {
  if (!decision) return decision.reason + " | " + decision.rule;
  std::string text;
  for (const IpAddress& address : decision.addresses) text += address.text() + " ";
  text += std::to_string(decision.ports.first);
  if (decision.ports.last != decision.ports.first) text += "-" + std::to_string(decision.ports.last);
  return text;
}

/// Of this machine, as far as ask() knows.
inline bool is_own(const IpAddress& address) {
  static const IpAddress own[] = {IpAddress::v4(0x7f000001), *IpAddress::parse("10.0.0.5"),
                                  *IpAddress::parse("10.0.0.6"), *IpAddress::parse("fe80::5"),
                                  *IpAddress::parse("2001:db8::5")};
  return std::ranges::find(own, address) != std::end(own);
}

struct Open {
  std::string_view host;
  std::uint16_t port;
  std::string_view address;  ///< empty: not resolved yet
};

inline files::Decision ask(const files::Grants& grants, const Open& open) {
  std::optional<IpAddress> address;
  if (!open.address.empty()) address = IpAddress::parse(open.address).value();
  return files::may_connect(grants, open.host, open.port, address, is_own);
}

}  // namespace culvert::test

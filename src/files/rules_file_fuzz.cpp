// SPDX-License-Identifier: Apache-2.0
// Rules files: the input is one. What toml++ makes of it is not watched by the fuzzer, only what we do with
// it.
#include "files/rules_file.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/bytes.hpp"
#include "base/text.hpp"

using namespace culvert;

namespace {

void check(const std::optional<std::vector<files::ForwardRule>>& rules,
           Result<files::ForwardRule> (*parse)(std::string_view)) {
  if (!rules) return;
  for (const files::ForwardRule& rule : *rules) {
    const auto again = parse(rule.text);
    if (!again || again->kind != rule.kind || again->denies != rule.denies || !(again->ports == rule.ports))
      std::abort();
    if (rule.ports.first > rule.ports.last || printable(rule.text, 4096) != rule.text) std::abort();
  }
}

void check(const files::RuleSet& rules) {
  check(rules.connect, &files::ForwardRule::parse_connect);
  check(rules.listen, &files::ForwardRule::parse_listen);
  if (rules.listen_default && rules.listen_default->empty()) std::abort();
  if (rules.limits.quota == 0u) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto file = files::parse_rules_file(as_text(ByteView(data, size)), "rules.toml");
  if (!file) {
    const std::string& error = file.error().message;
    if (!error.starts_with("rules.toml:") || error.find_first_of("\n\x1b") != std::string::npos) std::abort();
    return 0;
  }
  for (const files::UserRules& user : file->users) {
    if (user.name.empty() || file->find(user.name) != &user) std::abort();
    check(user.rules);
    for (const auto& key : user.keys) check(key.rules);
  }
  return 0;
}

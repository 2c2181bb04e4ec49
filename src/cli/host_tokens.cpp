// SPDX-License-Identifier: Apache-2.0
#include "cli/host_tokens.hpp"

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "cli/values.hpp"
#include "crypto/hash.hpp"

namespace culvert::cli {
namespace {

constexpr std::uint16_t kSshPort = 22;

std::string hex_of(ByteView bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace

std::vector<Token> host_tokens(const Settings& settings, const Environment& environment,
                               const std::string& host) {
  const std::string& machine = environment.host_name;
  const std::string original = settings.host.value_or("");
  const std::string port = std::to_string(settings.port.value_or(kSshPort));
  const std::string user = settings.user.value_or(environment.user);
  std::string jumps = settings.proxy_jump.value_or("");
  if (equal_ignoring_case(jumps, "none")) jumps.clear();
  const std::string connection = machine + host + port + user + jumps;
  return {{'C', hex_of(crypto::hash(crypto::HashId::sha1, as_bytes(connection)))},
          {'d', environment.home},
          {'h', host},
          {'i', environment.uid},
          {'j', jumps},
          {'k', settings.host_key_alias.value_or(original)},
          {'L', machine.substr(0, machine.find('.'))},
          {'l', machine},
          {'n', original},
          {'p', port},
          {'r', user},
          {'u', environment.user}};
}

}  // namespace culvert::cli

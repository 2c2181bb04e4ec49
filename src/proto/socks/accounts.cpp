// SPDX-License-Identifier: Apache-2.0
#include "proto/socks/accounts.hpp"

#include <fmt/format.h>

namespace culvert::socks {
namespace {

constexpr std::size_t kLongest = 255;  // RFC 1929
constexpr std::size_t kMost = 4096;    // each login is compared with all of them

}  // namespace

Result<Accounts> Accounts::parse(std::string_view text) {
  Accounts accounts;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    const auto colon = line.find(':');
    const auto wrong = [number](std::string_view why) {
      return fail(Errc::malformed, fmt::format("line {}: {}", number, why));
    };
    if (colon == std::string_view::npos) return wrong("not user:password");
    const std::string_view user = line.substr(0, colon);
    const std::string_view password = line.substr(colon + 1);
    if (user.empty() || password.empty()) return wrong("the user or the password is empty");
    if (user.size() > kLongest || password.size() > kLongest)
      return wrong(fmt::format("the user or the password has more than {} bytes", kLongest));
    if (accounts.accounts_.size() == kMost) return wrong(fmt::format("more than {} users", kMost));
    accounts.accounts_.push_back({std::string(user), SecretBytes(password)});
  }
  if (accounts.accounts_.empty()) return fail(Errc::malformed, "no user is named");
  return accounts;
}

bool Accounts::accept(std::string_view user, std::string_view password) const {
  unsigned found = 0;
  for (const Account& account : accounts_) {
    const unsigned same_user = equal_in_constant_time(as_bytes(account.user), as_bytes(user)) ? 1 : 0;
    const unsigned same_password = equal_in_constant_time(account.password, as_bytes(password)) ? 1 : 0;
    found |= same_user & same_password;
  }
  return found != 0;
}

}  // namespace culvert::socks

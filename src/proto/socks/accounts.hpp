// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/secret.hpp"

namespace culvert::socks {

/// Who may use a proxy. Not empty: a proxy that is open to all has none of these.
class Accounts {
 public:
  /// One "user:password" a line, each 1 to 255 bytes; empty lines and those that begin with '#' are passed
  /// over. The password is all that is behind the first colon, spaces too. The error's message names the line
  /// and never quotes it.
  [[nodiscard]] static Result<Accounts> parse(std::string_view text);

  /// In a time that depends on the number of accounts and on lengths, not on what the texts are.
  [[nodiscard]] bool accept(std::string_view user, std::string_view password) const;

 private:
  struct Account {
    std::string user;
    SecretBytes password;
  };
  std::vector<Account> accounts_;
};

}  // namespace culvert::socks

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace culvert::cli {

/// What configuration files ask about besides options: the machine and the network it is in. The calls block.
class Machine {
 public:
  virtual ~Machine() = default;
  /// Whether the user's shell ends with status 0 for this command. Its standard input and output are
  /// /dev/null.
  virtual Result<bool> succeeds(const std::string& command) = 0;
  /// Whether one of our interfaces has an address in these networks ("192.0.2.0/24,2001:db8::/32").
  virtual Result<bool> has_address_in(std::string_view networks) = 0;
  /// The name behind aliases (CNAME), in lower case and without a dot at the end; nothing if there is no such
  /// name.
  virtual std::optional<std::string> canonical_name(const std::string& name) = 0;
  /// An address in its usual form; nothing if this is none.
  virtual std::optional<std::string> canonical_address(const std::string& text) = 0;
  /// An error of a file, for the user.
  virtual void report(std::string_view error) = 0;
};

/// The one we run on.
class ThisMachine final : public Machine {
 public:
  Result<bool> succeeds(const std::string& command) override;
  Result<bool> has_address_in(std::string_view networks) override;
  std::optional<std::string> canonical_name(const std::string& name) override;
  std::optional<std::string> canonical_address(const std::string& text) override;
  void report(std::string_view error) override;
};

}  // namespace culvert::cli

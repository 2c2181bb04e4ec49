// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/secret.hpp"
#include "proto/socks/address.hpp"

namespace culvert::socks {

struct Login {
  std::string user;
  SecretBytes password;
};

/// The value of "Proxy-Authorization: Basic ..." (RFC 7617); nothing if it is another scheme or malformed.
[[nodiscard]] std::optional<Login> parse_basic(std::string_view value);
/// "Basic ...", the reverse.
[[nodiscard]] SecretBytes format_basic(const Login& login);

/// The head of a CONNECT request (RFC 9112 sections 3 and 5, RFC 9110 section 9.3.6), line by line, so that
/// what is wrong is known at the end of its line.
class ConnectHead {
 public:
  enum class Step : std::uint8_t { more, complete, wrong };

  /// The next line, without CRLF or LF. After `wrong`, status() and why() say what to answer.
  [[nodiscard]] Step line(std::string_view line);

  [[nodiscard]] const Address& target() const { return target_; }
  /// Of Proxy-Authorization, if there was one that we understand.
  [[nodiscard]] const std::optional<Login>& login() const { return login_; }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] std::string_view why() const { return why_; }

 private:
  Step request_line(std::string_view line);
  Step field(std::string_view line);
  Step wrong(int status, std::string_view why);

  Address target_;
  std::optional<Login> login_;
  std::string_view why_;
  int status_ = 0;
  bool has_request_line_ = false;
  bool has_host_ = false;
  bool has_authorization_ = false;
};

}  // namespace culvert::socks

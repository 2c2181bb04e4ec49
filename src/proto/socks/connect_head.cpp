// SPDX-License-Identifier: Apache-2.0
#include "proto/socks/connect_head.hpp"

#include <algorithm>
#include <utility>

#include "base/text.hpp"
#include "crypto/base64.hpp"

namespace culvert::socks {
namespace {

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

// RFC 9110 section 5.6.2.
bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char letter) {
    return is_digit(letter) || (lower(letter) >= 'a' && lower(letter) <= 'z') ||
           std::string_view("!#$%&'*+-.^_`|~").contains(letter);
  });
}

bool is_version(std::string_view text) {
  return text.size() == 8 && text.starts_with("HTTP/") && is_digit(text[5]) && text[6] == '.' &&
         is_digit(text[7]);
}

}  // namespace

std::optional<Login> parse_basic(std::string_view value) {
  constexpr std::string_view kScheme = "Basic ";
  if (value.size() < kScheme.size() || !equal_ignoring_case(value.substr(0, kScheme.size()), kScheme))
    return std::nullopt;
  auto decoded = crypto::base64_decode(trimmed(value.substr(kScheme.size())));
  if (!decoded) return std::nullopt;
  const std::string_view text = as_text(*decoded);
  const auto colon = text.find(':');
  std::optional<Login> login;
  if (colon != std::string_view::npos)
    login.emplace(std::string(text.substr(0, colon)), SecretBytes(text.substr(colon + 1)));
  wipe(*decoded);
  return login;
}

SecretBytes format_basic(const Login& login) {
  SecretBytes pair(login.user.size() + 1 + login.password.size());
  auto end = std::ranges::copy(login.user, pair.data()).out;
  *end++ = ':';
  std::ranges::copy(login.password.view(), end);
  std::string encoded = crypto::base64_encode(pair);
  constexpr std::string_view kScheme = "Basic ";
  SecretBytes value(kScheme.size() + encoded.size());
  std::ranges::copy(encoded, std::ranges::copy(kScheme, value.data()).out);
  wipe({reinterpret_cast<std::uint8_t*>(encoded.data()), encoded.size()});
  return value;
}

ConnectHead::Step ConnectHead::line(std::string_view line) {
  // RFC 9112 section 2.2: a bare CR could be a line end for somebody else. NUL is no text anywhere.
  if (line.find_first_of(std::string_view("\r\0", 2)) != std::string_view::npos)
    return wrong(400, "a control character in an HTTP head");
  if (!has_request_line_) return request_line(line);
  return line.empty() ? Step::complete : field(line);
}

ConnectHead::Step ConnectHead::request_line(std::string_view line) {
  has_request_line_ = true;
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last || !is_token(line.substr(0, first)) ||
      !is_version(line.substr(last + 1)))
    return wrong(400, "neither SOCKS nor an HTTP request");
  if (line.substr(0, first) != "CONNECT") return wrong(405, "an HTTP method other than CONNECT");
  if (line[last + 6] != '1') return wrong(505, "an HTTP version other than 1");
  auto target = parse_authority(line.substr(first + 1, last - first - 1));
  if (!target) return wrong(400, "the target of CONNECT is not host:port");
  target_ = *std::move(target);
  return Step::more;
}

ConnectHead::Step ConnectHead::field(std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
    return wrong(400, "a malformed HTTP header line");
  const std::string_view name = line.substr(0, colon);
  // RFC 9112 section 3.2.
  if (equal_ignoring_case(name, "Host") && std::exchange(has_host_, true))
    return wrong(400, "Host came twice");
  if (!equal_ignoring_case(name, "Proxy-Authorization")) return Step::more;
  if (has_authorization_) return wrong(400, "Proxy-Authorization came twice");
  has_authorization_ = true;
  login_ = parse_basic(trimmed(line.substr(colon + 1)));
  return Step::more;
}

ConnectHead::Step ConnectHead::wrong(int status, std::string_view why) {
  status_ = status;
  why_ = why;
  return Step::wrong;
}

}  // namespace culvert::socks

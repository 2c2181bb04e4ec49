// SPDX-License-Identifier: Apache-2.0
#include "proto/socks/client.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"

namespace culvert::socks {
namespace {

constexpr std::size_t kLongestHead = 64 * 1024;  // what comes before the tunnel, interim responses included
constexpr std::size_t kLongest = 255;            // texts of SOCKS 5

constexpr std::uint8_t kNoLogin = 0;
constexpr std::uint8_t kUserPassword = 2;
constexpr std::uint8_t kNoMethod = 0xFF;

// RFC 1928 section 6.
constexpr std::array<std::string_view, 9> kReplies = {
    "succeeded",           "general failure",       "not allowed by its rules",
    "network unreachable", "host unreachable",      "connection refused",
    "it timed out",        "command not supported", "this type of address is not supported"};

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

}  // namespace

Client::Client(Protocol protocol, Address destination, std::optional<Login> login)
    : destination_(std::move(destination)), login_(std::move(login)) {
  CULVERT_ASSERT(protocol != Protocol::socks4);
  if (!is_host(destination_.host)) {
    fail("a proxy cannot be asked for this name");
    return;
  }
  // What goes out is wiped when it was sent; it never moves, so that no copy stays behind.
  output_.reserve(2048);
  protocol == Protocol::socks5 ? start_socks5() : start_http();
}

Client::~Client() { wipe(output_); }

std::size_t Client::feed(ByteView bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && state_ == State::talking) {
    input_.push_back(bytes[taken++]);
    switch (phase_) {
      case Phase::method:
        on_method();
        break;
      case Phase::login:
        on_login();
        break;
      case Phase::reply:
        on_reply();
        break;
      case Phase::status_line:
      case Phase::fields:
        on_http_byte();
        break;
    }
  }
  return taken;
}

void Client::on_end() {
  if (state_ != State::talking) return;
  const bool silent =
      head_size_ == 0 && input_.empty() && (phase_ == Phase::method || phase_ == Phase::status_line);
  fail(silent ? "the proxy ended the connection without an answer"
              : "the proxy ended the connection too early");
}

void Client::consume_output(std::size_t n) {
  CULVERT_ASSERT(n <= output().size());
  sent_ += n;
  if (sent_ < output_.size()) return;
  wipe(output_);
  output_.clear();
  sent_ = 0;
}

void Client::start_socks5() {
  if (login_ && (login_->user.empty() || login_->user.size() > kLongest || login_->password.empty() ||
                 login_->password.size() > kLongest)) {
    return fail("user and password of a SOCKS proxy have 1 to 255 bytes");
  }
  Writer(output_).byte(5).byte(login_ ? 2 : 1).byte(kNoLogin);
  if (login_) Writer(output_).byte(kUserPassword);
  phase_ = Phase::method;
}

void Client::start_http() {
  if (login_ &&
      (login_->user.contains(':') || login_->user.size() > kLongest || login_->password.size() > kLongest))
    return fail("user and password of an HTTP proxy have at most 255 bytes, and the user no ':'");
  const std::string target = authority(destination_);
  Writer writer(output_);
  writer.bytes(as_bytes(fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n", target)));
  if (login_) {
    writer.bytes(as_bytes("Proxy-Authorization: ")).bytes(format_basic(*login_)).bytes(as_bytes("\r\n"));
  }
  writer.bytes(as_bytes("\r\n"));
  phase_ = Phase::status_line;
}

void Client::on_method() {
  if (input_[0] != 5) return fail("it does not speak SOCKS 5");
  if (input_.size() < 2) return;
  const auto method = input_[1];
  if (method == kNoLogin) return send_request();
  if (method == kUserPassword && login_) return send_login();
  if (method == kNoMethod)
    return fail(login_ ? "the proxy takes no password"
                       : "the proxy wants a login: give it as user:password@");
  fail(fmt::format("the proxy wants a login of a kind that was not offered ({})", method));
}

void Client::send_login() {
  Writer writer(output_);
  writer.byte(1).byte(static_cast<std::uint8_t>(login_->user.size())).bytes(as_bytes(login_->user));
  writer.byte(static_cast<std::uint8_t>(login_->password.size())).bytes(login_->password);
  next(Phase::login);
}

void Client::on_login() {
  if (input_.size() < 2) return;
  // RFC 1929 wants version 1; some proxies say 5, and nobody minds.
  if (input_[1] != 0) return fail("the proxy refuses user and password");
  send_request();
}

void Client::send_request() {
  Writer writer(output_);
  writer.byte(5).byte(1).byte(0);
  if (const auto v4 = parse_ipv4(destination_.host)) {
    writer.byte(1).bytes(*v4);
  } else if (const auto v6 = parse_ipv6(destination_.host)) {
    writer.byte(4).bytes(*v6);
  } else {
    writer.byte(3)
        .byte(static_cast<std::uint8_t>(destination_.host.size()))
        .bytes(as_bytes(destination_.host));
  }
  writer.byte(static_cast<std::uint8_t>(destination_.port >> 8));
  writer.byte(static_cast<std::uint8_t>(destination_.port));
  next(Phase::reply);
}

// version, code, reserved, type of address, address, port
void Client::on_reply() {
  if (input_[0] != 5) return fail("it does not speak SOCKS 5");
  if (input_.size() < 2) return;
  const auto code = input_[1];
  if (code != 0) {  // some end here, without the rest
    return fail(fmt::format("the proxy refuses: {} (SOCKS reply {})",
                            code < kReplies.size() ? kReplies[code] : "unknown reason", code));
  }
  if (input_.size() < 5) return;
  const auto type = input_[3];
  if (type != 1 && type != 3 && type != 4) return fail("the proxy's answer is malformed");
  const std::size_t size = type == 1 ? 4 : type == 4 ? 16 : std::size_t{1} + input_[4];
  if (input_.size() < 4 + size + 2) return;
  state_ = State::connected;
}

void Client::on_http_byte() {
  if (++head_size_ > kLongestHead) return fail("the proxy's answer is too long");
  if (input_.back() != '\n') return;
  std::string_view line = as_text(input_);
  line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  on_http_line(line);
  input_.clear();
}

void Client::on_http_line(std::string_view line) {
  if (phase_ == Phase::status_line) return on_status_line(line);
  if (!line.empty()) return;  // a field: a successful answer to CONNECT has none that matter
  if (status_ >= 200) {
    state_ = State::connected;
  } else {
    phase_ = Phase::status_line;  // interim (RFC 9110 section 15.2): the answer follows
  }
}

// "HTTP/1.1 200 Connection established"
void Client::on_status_line(std::string_view line) {
  if (line.size() < 12 || !line.starts_with("HTTP/1.") || line[8] != ' ' || !is_digit(line[9]) ||
      line[9] == '0' || !is_digit(line[10]) || !is_digit(line[11]) || (line.size() > 12 && line[12] != ' '))
    return fail("it does not answer as an HTTP proxy");
  status_ = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
  phase_ = Phase::fields;
  if (status_ < 300 && status_ != 101) return;
  if (status_ == 407) {
    return fail(login_ ? "the proxy refuses user and password (HTTP 407)"
                       : "the proxy wants a login: give it as user:password@ (HTTP 407)");
  }
  fail(fmt::format("the proxy refuses: HTTP {}", printable(line.substr(9), 200)));
}

void Client::next(Phase phase) {
  phase_ = phase;
  input_.clear();
}

void Client::fail(std::string why) {
  state_ = State::failed;
  error_ = std::move(why);
}

}  // namespace culvert::socks

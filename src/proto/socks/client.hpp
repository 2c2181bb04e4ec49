// SPDX-License-Identifier: Apache-2.0
// The client's side of a proxy on the way out: SOCKS 5 (RFC 1928, RFC 1929) or HTTP CONNECT (RFC 9110 section
// 9.3.6), with or without a login.
//
//     Client client(Protocol::socks5, {"server", 22}, login);
//     for (;;) {
//       send all of client.output(), consume_output();
//       if (client.state() != State::talking) break;
//       n = client.feed(bytes);        // what it did not take is the server's first data: keep it
//     }
//     connected: the connection is a stream to the destination now.   failed: client.error() says why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "proto/socks/address.hpp"
#include "proto/socks/connect_head.hpp"
#include "proto/socks/reply.hpp"

namespace culvert::socks {

class Client {
 public:
  enum class State : std::uint8_t { talking, connected, failed };

  /// Asks for `destination`; names go to the proxy as they are. `protocol` is socks5 or http. Without a login
  /// none is offered. What the protocol cannot say (a name of 256 bytes) fails at once.
  Client(Protocol protocol, Address destination, std::optional<Login> login = std::nullopt);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Takes bytes up to the end of the proxy's answer, in any pieces, and never one more. Returns how many; 0
  /// unless `talking`.
  std::size_t feed(ByteView bytes);
  /// The proxy ended the connection; fails unless it is connected.
  void on_end();

  /// To be sent; valid until the next call that is not const.
  [[nodiscard]] ByteView output() const { return ByteView(output_).subspan(sent_); }
  void consume_output(std::size_t n);

  [[nodiscard]] State state() const { return state_; }
  /// Once failed: "the proxy refuses: connection refused (SOCKS reply 5)"; printable. The caller puts the
  /// proxy's name in front.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  enum class Phase : std::uint8_t { method, login, reply, status_line, fields };

  void start_socks5();
  void start_http();
  void on_method();
  void on_login();
  void on_reply();
  void on_http_byte();
  void on_http_line(std::string_view line);
  void on_status_line(std::string_view line);
  void send_login();
  void send_request();
  void next(Phase phase);
  void fail(std::string why);

  const Address destination_;
  std::optional<Login> login_;
  State state_ = State::talking;
  Phase phase_ = Phase::method;
  Bytes input_;   // of the message (HTTP: line) that is being read
  Bytes output_;  // from sent_ on; may hold a password
  std::size_t sent_ = 0;
  std::size_t head_size_ = 0;  // HTTP: all lines so far
  int status_ = 0;             // HTTP
  std::string error_;
};

}  // namespace culvert::socks

// SPDX-License-Identifier: Apache-2.0
// The server's side of SOCKS 4, 4a, 5 (RFC 1928, RFC 1929) and HTTP CONNECT (RFC 9110 section 9.3.6), told
// apart by the first byte that is none of an empty line.
//
//     while (server.state() == State::reading) {
//       n = server.feed(bytes);        // what it did not take belongs to whoever is asked for
//       send(server.output());
//     }
//     requested: reach server.request().where, then connected()   -- or refuse()
//                or, for BIND: listening(), and when somebody came arrived()   -- or refuse()
//                or, for UDP ASSOCIATE: associated()   -- or refuse()
//     refused:   send the output, then end the connection in order
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "proto/socks/accounts.hpp"
#include "proto/socks/address.hpp"
#include "proto/socks/connect_head.hpp"
#include "proto/socks/reply.hpp"

namespace culvert::socks {

enum class Command : std::uint8_t { connect, bind, associate };

struct Request {
  Protocol protocol = Protocol::socks5;
  Command command = Command::connect;
  /// Names as the client gave them. Of BIND: who is expected. Of UDP ASSOCIATE: where its datagrams will come
  /// from, zeros if it does not know yet.
  Address where = {};
};

class Server {
 public:
  enum class State : std::uint8_t {
    reading,    ///< feed() takes bytes
    requested,  ///< request() holds; nothing was sent that says how it goes on
    listening,  ///< BIND: the first reply is made, the second one follows
    served,     ///< the last reply is made; behind it comes the stream (UDP ASSOCIATE: nothing)
    refused,    ///< the output, if there is any, says so; why() is for the log
  };

  /// `accounts`: who may come in; null: everybody. It must outlive this. SOCKS 4 knows no passwords and is
  /// refused if there are accounts.
  explicit Server(const Accounts* accounts = nullptr) : accounts_(accounts) {}
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Takes bytes up to the end of the request, in any pieces, and never one more. Returns how many; 0 unless
  /// `reading`.
  std::size_t feed(ByteView bytes);

  /// To be sent, in this order; valid until the next call that is not const.
  [[nodiscard]] ByteView output() const { return ByteView(output_).subspan(sent_); }
  void consume_output(std::size_t n);

  [[nodiscard]] State state() const { return state_; }
  /// Once `requested`.
  [[nodiscard]] const Request& request() const { return request_; }
  /// Once `refused` by feed(): what was wrong; no text of the client.
  [[nodiscard]] std::string_view why() const { return why_; }

  /// `requested`, CONNECT: the destination is reached, from `here`; empty if that is not known.
  void connected(const Address& here = {});
  /// `requested`, BIND: somebody may come to `where`.
  void listening(const Address& where);
  /// `requested`, UDP ASSOCIATE: datagrams for others are taken at `where`.
  void associated(const Address& where);
  /// `listening`: `peer` has come.
  void arrived(const Address& peer);
  /// `requested` or `listening`: it will not be.
  void refuse(Failure failure);

 private:
  enum class Phase : std::uint8_t { first_byte, socks4, socks5_methods, socks5_login, socks5_request, http };

  void take(std::uint8_t byte);
  void on_first_byte(std::uint8_t byte);
  void on_socks4();
  void on_socks5_methods();
  void on_socks5_login();
  void on_socks5_request();
  void on_http_byte();
  void on_http_head();

  [[nodiscard]] ByteView field(std::size_t at, std::size_t size) const {
    return ByteView(input_).subspan(at, size);
  }
  [[nodiscard]] std::uint16_t port_at(std::size_t at) const;
  void keep(std::uint8_t byte);
  void forget_input();
  void next(Phase phase);
  void requested(Command command, Address where);
  void reject(std::string_view why);

  const Accounts* accounts_;
  State state_ = State::reading;
  Phase phase_ = Phase::first_byte;
  Request request_;
  std::string_view why_;
  Bytes input_;   // of the message (HTTP: line) that is being read; may hold a password
  Bytes output_;  // from sent_ on
  std::size_t sent_ = 0;
  std::size_t head_size_ = 0;  // HTTP: all lines so far, and what was empty in front of them
  std::size_t user_size_ = 0;  // SOCKS 4: where the user's name ends
  ConnectHead head_;
};

}  // namespace culvert::socks

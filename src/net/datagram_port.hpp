// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/udp.hpp>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert::net {

/// A UDP socket for a conversation of few datagrams; udp_socket.hpp has those that carry traffic.
class DatagramPort {
 public:
  using Endpoint = boost::asio::ip::udp::endpoint;

  /// From `here` to `there` alone: the kernel drops what others send.
  [[nodiscard]] static Result<DatagramPort> connect(const boost::asio::any_io_executor& executor,
                                                    const boost::asio::ip::address& here,
                                                    const Endpoint& there);
  /// Sends from `here` to anybody, to groups by way of the interface, and hears their answers.
  [[nodiscard]] static Result<DatagramPort> open(const boost::asio::any_io_executor& executor,
                                                 const boost::asio::ip::address& here, unsigned interface);
  /// Hears what is sent to a group on an interface, beside others that do.
  [[nodiscard]] static Result<DatagramPort> join(const boost::asio::any_io_executor& executor,
                                                 const Endpoint& group, unsigned interface);

  struct Datagram {
    Endpoint from;
    ByteView bytes;  ///< until the next call of receive(); cut at kMost
  };
  static constexpr std::size_t kMost = 2048;
  /// The next one. Errors have the cause alone. Errc::system with ECONNREFUSED: connect()ed, and nobody is
  /// there (ICMP). Errc::cancelled after close() or Asio cancellation. One caller at a time.
  [[nodiscard]] boost::asio::awaitable<Result<Datagram>> receive();

  /// Without waiting: a full buffer loses it, as the network would.
  [[nodiscard]] Result<void> send(ByteView bytes);
  [[nodiscard]] Result<void> send_to(const Endpoint& there, ByteView bytes);
  void close();

 private:
  explicit DatagramPort(boost::asio::ip::udp::socket socket) : socket_(std::move(socket)) {}

  boost::asio::ip::udp::socket socket_;
  std::array<std::uint8_t, kMost> buffer_;
};

}  // namespace culvert::net

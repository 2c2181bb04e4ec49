// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <netinet/in.h>
#include <sys/socket.h>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/udp.hpp>

#include "base/bytes.hpp"
#include "net/udp_socket.hpp"

namespace culvert::net {

/// What became of the datagrams of a flush().
struct UdpSent {
  std::uint64_t datagrams = 0;
  std::uint64_t bytes = 0;
  std::uint64_t dropped = 0;
  int error = 0;  ///< errno of the last one that was dropped; 0: none was

  UdpSent& operator+=(const UdpSent& other);
};

/// Where a datagram goes and leaves from. On a connected socket: neither.
struct UdpWay {
  const boost::asio::ip::udp::endpoint* to = nullptr;
  /// Of UdpArrival::to; 0.0.0.0: what the route says.
  boost::asio::ip::address from = {};
};

/// Datagrams that leave one socket together: one sendmmsg, in which runs of one size to one peer are one
/// message each (UDP_SEGMENT). Nothing is queued: what the kernel does not take at once is dropped and
/// counted.
class UdpOutbox {
 public:
  static constexpr std::size_t kMost = 64;

  /// A datagram or run, as of UdpArrival: `bytes` must live until flush(), `way.to` not longer than this
  /// call. Not while full().
  void add(ByteView bytes, std::size_t segment, const UdpWay& way = {});
  /// One datagram with a head in front, both of which must live until flush().
  void add(ByteView head, ByteView body, const UdpWay& way);
  [[nodiscard]] bool full() const { return item_count_ == kMost; }
  [[nodiscard]] bool empty() const { return item_count_ == 0; }

  /// Sends all, and is empty.
  UdpSent flush(UdpSocket& socket);

 private:
  struct Item {
    ByteView head;
    ByteView bytes;
    std::size_t segment = 0;
    boost::asio::ip::udp::endpoint to;
    bool is_connected = false;
    boost::asio::ip::address from;

    [[nodiscard]] bool same_way_as(const Item& other) const;
  };
  struct Message {
    const Item* item = nullptr;  ///< its first
    std::size_t first_vector = 0;
    std::size_t vectors = 0;  ///< no datagram is in two of them, but for a head and its body
    std::size_t bytes = 0;    ///< without a head
    std::size_t segment = 0;
    bool is_closed = false;  ///< nothing can follow: its last datagram is shorter than the others

    [[nodiscard]] bool is_run() const { return bytes > segment; }
    [[nodiscard]] std::size_t datagrams() const { return is_run() ? (bytes + segment - 1) / segment : 1; }
    [[nodiscard]] bool takes(const Item& next, std::size_t size, std::size_t next_segment) const;
  };
  struct Control {
    alignas(cmsghdr) std::uint8_t bytes[CMSG_SPACE(sizeof(std::uint16_t)) + CMSG_SPACE(sizeof(in6_pktinfo))];
  };

  Item& next_item(const UdpWay& way);
  [[nodiscard]] std::size_t pack(const Item& item, ByteView rest, std::size_t largest_in_run);
  void push(Message& message, ByteView bytes);
  [[nodiscard]] bool has_room() const;
  void address(std::size_t index);
  void send_messages(UdpSocket& socket, UdpSent& sent);
  void send_one_by_one(int socket, std::size_t index, UdpSent& sent);

  std::array<Item, kMost> items_;
  std::size_t item_count_ = 0;
  std::array<Message, kMost> messages_;
  std::array<mmsghdr, kMost> headers_;
  std::array<Control, kMost> controls_;
  std::size_t message_count_ = 0;
  std::array<iovec, 2 * kMost> vectors_;
  std::size_t vector_count_ = 0;
};

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <netinet/in.h>
#include <sys/socket.h>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/udp.hpp>

#include "base/bytes.hpp"
#include "net/ready_set.hpp"
#include "net/socket.hpp"

namespace culvert::net {

/// One datagram, or a run of them that came together from one peer: `bytes` is cut after every `segment`
/// bytes, the last may be shorter. A run has no empty datagram.
struct UdpArrival {
  ByteView bytes;
  std::size_t segment = 0;  ///< bytes.size() of a single one
  const boost::asio::ip::udp::endpoint* from = nullptr;
  /// What it was sent to, of a UdpListener on any address, and fit to send an answer from; else 0.0.0.0.
  boost::asio::ip::address to;

  [[nodiscard]] std::size_t datagrams() const {
    return segment == 0 ? 1 : (bytes.size() + segment - 1) / segment;
  }
};

/// Memory for what many sockets receive in one turn of a thread: 4 MiB, of which untouched pages cost
/// nothing.
class UdpInbox {
 public:
  static constexpr std::size_t kSlots = 64;

  UdpInbox();

  /// One recvmmsg without waiting, behind what is there already. `bytes` of the result is the number of new
  /// arrivals. Not while full().
  [[nodiscard]] Transferred receive(int socket);
  /// The same of a member of a set, which is drained if nothing is left there.
  [[nodiscard]] Transferred receive(int socket, ReadySet::Member& watched);
  [[nodiscard]] bool full() const { return count_ == kSlots; }
  /// What came since clear(), in order. As long as until then.
  [[nodiscard]] std::span<const UdpArrival> arrivals() const { return std::span(arrivals_).first(count_); }
  void clear();

 private:
  struct Control {
    alignas(cmsghdr) std::uint8_t bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(in6_pktinfo))];
  };

  void read_control(const msghdr& message, UdpArrival& arrival) const;

  std::unique_ptr<std::uint8_t[]> memory_;
  std::array<mmsghdr, kSlots> messages_;
  std::array<iovec, kSlots> vectors_;
  std::array<Control, kSlots> controls_;
  std::array<boost::asio::ip::udp::endpoint, kSlots> peers_;
  std::array<UdpArrival, kSlots> arrivals_;
  std::size_t count_ = 0;
};

}  // namespace culvert::net

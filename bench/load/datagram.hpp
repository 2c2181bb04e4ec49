// SPDX-License-Identifier: Apache-2.0
// UDP over IPv4, many datagrams for each system call: what the generator itself costs must not be what is
// measured.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "load/socket.hpp"

namespace culvert::load {

/// What one end has said to the other: one datagram, or several of the same size, and a last that may be
/// shorter, which cross the kernel as one (GSO and GRO of udp(7)).
struct Datagrams {
  in_addr here{};  ///< our own address, of those that the socket has
  sockaddr_in there{};
  std::span<std::uint8_t> bytes{};
  std::size_t each = 0;  ///< the size of one; never 0

  [[nodiscard]] std::size_t count() const { return (bytes.size() + each - 1) / each; }
  [[nodiscard]] std::span<std::uint8_t> at(std::size_t i) const;
};

/// The most that Datagrams may have in all, and the most bytes.
inline constexpr std::size_t kMostSegments = 64;
inline constexpr std::size_t kMostBytes = 65'000;

class DatagramSocket {
 public:
  /// Bound there, does not block, and has large buffers, so that it loses nothing itself.
  explicit DatagramSocket(const sockaddr_in& bind);

  [[nodiscard]] int get() const { return fd_.get(); }
  /// What is there, up to a batch, but for empty ones: rinetd begins with one, and takes an answer for the
  /// end. The bytes are valid until the next call.
  [[nodiscard]] std::span<const Datagrams> receive();
  /// All of them, in order; what the kernel has no room for is lost. Ends the program when it fails
  /// otherwise.
  void send(std::span<const Datagrams> batch);
  /// Waits until something is there, or until `deadline`.
  void wait(Clock::time_point deadline) const;

 private:
  static constexpr std::size_t kBatch = 64;
  struct Control {
    alignas(cmsghdr) std::uint8_t bytes[CMSG_SPACE(sizeof(in_pktinfo)) + CMSG_SPACE(sizeof(int))];
  };

  Fd fd_;
  std::unique_ptr<std::uint8_t[]> buffer_;
  std::vector<sockaddr_in> names_;
  std::vector<iovec> parts_;
  std::vector<Control> controls_;
  std::vector<mmsghdr> headers_;
  std::vector<Datagrams> received_;
};

[[nodiscard]] sockaddr_in ipv4(const Address& address);

/// Visitors of one server: to whoever is between, each address and port is a client of its own. They share a
/// socket, which has a port at all addresses of 127.0.0.0/8.
[[nodiscard]] in_addr visitor(std::size_t number);

}  // namespace culvert::load

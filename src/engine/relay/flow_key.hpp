// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/udp.hpp>

namespace culvert::relay {

/// What makes a flow of datagrams one flow: who sends, and to which of our sockets and addresses.
struct FlowKey {
  /// `local`: as of net::UdpArrival::to. `listener`: any number that names the socket.
  FlowKey(const boost::asio::ip::udp::endpoint& client, const boost::asio::ip::address& local,
          std::uint16_t listener);

  bool operator==(const FlowKey&) const = default;

  std::array<std::uint64_t, 6> words{};
};

/// Clients choose their ports, and whoever forges them their addresses: without the secret they would find
/// many that fall on one place of a table.
class FlowKeyHash {
 public:
  /// With a secret of its own, from the system.
  FlowKeyHash();
  explicit FlowKeyHash(std::array<std::uint64_t, 2> secret) : secret_(secret) {}

  [[nodiscard]] std::size_t operator()(const FlowKey& key) const;

 private:
  std::array<std::uint64_t, 2> secret_;
};

}  // namespace culvert::relay

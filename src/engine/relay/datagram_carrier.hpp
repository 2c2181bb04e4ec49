// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/udp.hpp>

#include "engine/relay/endpoint.hpp"
#include "engine/relay/refusal.hpp"
#include "engine/relay/stream.hpp"

namespace culvert::relay {

/// What became of the datagrams of one client.
struct CarriedDatagrams {
  std::uint64_t datagrams = 0;  ///< both ways
  std::uint64_t bytes_out = 0;  ///< towards destinations
  std::uint64_t bytes_in = 0;   ///< back from them
  std::uint64_t dropped = 0;    ///< datagrams
};
using Carried = std::expected<void, DialError>;

/// Of dialers that let datagrams leave from here: says which may. Whoever has datagrams to send asks about
/// each new destination, and sends by itself. A dialer that judges wraps one that does not.
class DatagramCarrier {
 public:
  virtual ~DatagramCarrier() = default;

  /// The address that they leave from; none: any. To the other family nothing may go then.
  [[nodiscard]] virtual std::optional<boost::asio::ip::address> source() const { return std::nullopt; }

  /// Whether datagrams of `origin` may go to this address. Without waiting. The answer holds for as long as
  /// there is traffic.
  [[nodiscard]] virtual std::expected<void, DialError> judge(
      const boost::asio::ip::udp::endpoint& destination, const Endpoint& origin) = 0;

  using Found = std::expected<std::vector<boost::asio::ip::udp::endpoint>, DialError>;
  /// The addresses of a name that datagrams of `origin` may go to, never none: judge() is not asked about
  /// them. Obeys Asio cancellation (terminal).
  [[nodiscard]] virtual Task<Found> look_up(HostPort destination, Endpoint origin) = 0;
};

}  // namespace culvert::relay

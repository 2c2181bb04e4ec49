// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/udp.hpp>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "engine/relay/endpoint.hpp"
#include "engine/relay/flow_table.hpp"

namespace culvert::proxy {

/// What the names in a client's datagrams stand for, and the few datagrams that wait until that is known.
/// Bounded; knows no clock and looks nothing up.
class NameCache {
 public:
  static constexpr std::size_t kNames = 64;
  static constexpr std::size_t kLookUps = 8;  ///< at once
  static constexpr std::size_t kWaitingDatagrams = 8;
  static constexpr std::size_t kWaitingBytes = std::size_t{16} * 1024;
  static constexpr Duration kKnownTime = std::chrono::minutes(1);
  static constexpr Duration kUnknownTime = std::chrono::seconds(5);

  struct Answer {
    std::optional<boost::asio::ip::udp::endpoint> to;  ///< where it goes now
    bool look_up = false;  ///< the name has to be looked up; then learn() what came of it
  };
  /// Asked for each datagram. An old address is good until there is a new one. While there is none, a copy of
  /// `data` waits if there is room; `waits` says so.
  [[nodiscard]] Answer find(std::string_view host, std::uint16_t port, ByteView data, Instant now,
                            bool& waits);

  /// What a look-up has found; nothing: no address. Returns the datagrams that waited for it.
  [[nodiscard]] std::vector<Bytes> learn(const relay::HostPort& name,
                                         std::optional<boost::asio::ip::udp::endpoint> to, Instant now);

 private:
  struct Name {
    std::optional<boost::asio::ip::udp::endpoint> to;
    bool is_looked_up = false;
    Instant old_at{};  ///< when to ask again
    std::vector<Bytes> waiting;
  };
  using Table = relay::FlowTable<std::string, Name>;

  void set_key(std::string_view host, std::uint16_t port);
  [[nodiscard]] std::vector<Bytes> take_waiting(Name& name);

  Table names_{kNames, std::chrono::hours(1)};
  std::string key_;  ///< of the call: a known name costs no memory
  std::size_t look_ups_ = 0;
  std::size_t waiting_datagrams_ = 0;
  std::size_t waiting_bytes_ = 0;
};

}  // namespace culvert::proxy

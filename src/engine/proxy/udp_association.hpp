// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/udp.hpp>

#include "base/result.hpp"
#include "engine/relay/bucket.hpp"
#include "engine/relay/datagram_carrier.hpp"
#include "engine/relay/endpoint.hpp"
#include "engine/relay/stream.hpp"

namespace culvert::proxy {

/// Whose association it is.
struct UdpClient {
  boost::asio::ip::address reached_at;  ///< the address of ours that its TCP connection came to
  /// The only address that is heard. Port 0: the first port that a good datagram comes from, and from then on
  /// no other one.
  boost::asio::ip::udp::endpoint expected;
  relay::Endpoint origin;  ///< for rules, and for the log
};

/// One UDP association of SOCKS 5 (RFC 1928 section 7): a client's datagrams, each with its destination in
/// front, leave from ports of ours (one for IPv4, one for IPv6), and what comes back to them reaches the
/// client.
///
/// Answers pass from addresses and ports that the client has written to within five minutes (at most 1,024
/// of them, the latest). Fragments, what others than the client send, and what the carrier does not let
/// pass are dropped. Nothing is queued but, while a name is looked up, the first few datagrams to it. Names
/// are kept for a minute, at most 64. All calls on one thread.
class UdpAssociation {
 public:
  /// Listens, at any port. `carrier` must outlive it. `rates` are for what datagrams carry (DatagramMeter).
  /// The error is for the log.
  [[nodiscard]] static Result<UdpAssociation> open(const boost::asio::any_io_executor& executor,
                                                   relay::DatagramCarrier& carrier, UdpClient client,
                                                   relay::Rates rates);
  UdpAssociation(UdpAssociation&&) = default;
  UdpAssociation& operator=(UdpAssociation&&) = delete;
  ~UdpAssociation();

  /// Where the client is to send its datagrams.
  [[nodiscard]] boost::asio::ip::udp::endpoint local() const;
  /// Carries datagrams until `control`, the client's TCP connection, ends (what comes on it is thrown away),
  /// or until Asio cancellation, which aborts that. Counts them in `so_far`. Nothing of it runs when this
  /// returns. Once.
  [[nodiscard]] relay::Task<void> run(relay::Stream& control, relay::CarriedDatagrams& so_far);

 private:
  struct State;
  explicit UdpAssociation(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace culvert::proxy

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/udp.hpp>

#include "base/log_fields.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "engine/relay/bucket.hpp"
#include "engine/relay/datagram_target.hpp"
#include "engine/relay/flow_limit.hpp"
#include "engine/relay/stream.hpp"
#include "net/udp_socket.hpp"

namespace culvert::relay {

struct DatagramCounters {
  std::uint64_t flows_ever = 0;
  std::uint64_t flows_live = 0;
  std::uint64_t flows_evicted = 0;  ///< made room for others: at the limit, without descriptors or ports
  std::uint64_t flows_refused = 0;  ///< ended by ICMP: nobody is at the target's port
  std::uint64_t datagrams_out = 0;  ///< towards the target
  std::uint64_t datagrams_in = 0;   ///< back from it
  std::uint64_t bytes_out = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t over_rate = 0;  ///< datagrams of either direction that the rates did not let pass
  /// Datagrams of either direction: these, and those that the kernel did not take, or without a flow.
  std::uint64_t dropped = 0;
};

struct DatagramOptions {
  /// A flow that has carried nothing for so long, in either direction, is over.
  Duration idle_time = std::chrono::seconds(60);
  /// At most so many at once, at least 1. One more pushes out the one that has been still for longest. Each
  /// takes a descriptor and a local port; where those run short, flows make room for whatever else of this
  /// process takes one (net::DescriptorRelief).
  std::size_t most_flows = 65536;
  /// Of flows, together with the forwards of this thread that share it; null: none but `most_flows`.
  std::shared_ptr<FlowLimit> limit = {};
  /// What targets are spoken to from; none: what the route says.
  std::optional<boost::asio::ip::udp::endpoint> source = {};
  /// The target sees the client's own address (IP_TRANSPARENT), and its port, unless another flow of this
  /// client or a socket of this machine has that. Then `source` is not used.
  bool transparent = false;
  /// Bytes a second, all flows together, and with the forwards that share them (DatagramMeter).
  Rates rates = {};
  /// Whose forward this is, for lines of the log.
  LogContext context = {};
};

/// Forwards datagrams. Each client, by its address, the socket and the address of ours that it writes to, is
/// a flow with a socket of its own that is connected to the target; answers leave from where the client
/// wrote to. All calls on one thread.
///
/// Nothing is queued: what a socket does not take, or a rate does not let pass, is dropped and counted.
/// Before the target's name is looked up, nothing is read: the first datagrams of the first flow wait in the
/// listener's buffer.
///
/// ICMP's "port unreachable" from the target ends its flow; the client's next datagram begins another. It
/// cannot be passed on: without a raw socket nobody can send ICMP, and without one the kernel has no reason
/// to. It is counted, and logged at `verbose`. Other ICMP errors leave the flow alone, since they pass.
/// A flow whose target is lost (DatagramTarget) begins anew, too, when its client says something.
///
/// Flows that could not begin are logged at `notice`, as the event "flow_refused", one line for a flood:
/// "udp 127.0.0.1:5353 -> db:53: cannot resolve db: Name or service not known".
class DatagramForward {
 public:
  /// At least one listener, all for one target.
  DatagramForward(std::vector<net::UdpListener> listeners, std::unique_ptr<DatagramTarget> target,
                  DatagramOptions options);
  ~DatagramForward();  ///< stops
  DatagramForward(const DatagramForward&) = delete;
  DatagramForward& operator=(const DatagramForward&) = delete;

  /// Carries datagrams until stop() (success) or Asio cancellation. Once.
  [[nodiscard]] Task<Result<void>> run();
  /// Closes listeners and flows: nothing has to be drained. run() returns.
  void stop();

  [[nodiscard]] DatagramCounters counters() const;
  /// Of the first listener: "udp 127.0.0.1:5353".
  [[nodiscard]] std::string name() const;
  /// Of the first listener: what port 0 became.
  [[nodiscard]] std::uint16_t port() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace culvert::relay

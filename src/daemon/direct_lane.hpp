// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "daemon/forward_set.hpp"
#include "daemon/own_listeners.hpp"
#include "daemon/plan.hpp"
#include "engine/relay/bucket.hpp"
#include "engine/relay/direct_dialer.hpp"
#include "engine/relay/flow_limit.hpp"
#include "engine/relay/health_checks.hpp"
#include "engine/relay/proxy_header_dialer.hpp"
#include "engine/relay/sni_source.hpp"
#include "engine/relay/stream_limit.hpp"
#include "net/listener.hpp"
#include "net/resolver.hpp"
#include "net/udp_socket.hpp"
#include "proto/socks/accounts.hpp"

namespace culvert::daemon {

/// What the threads of a DirectPlan have in common: limits, and which targets are up. Filled before they
/// start.
struct DirectCommons {
  explicit DirectCommons(const DirectPlan& of);

  const DirectPlan& plan;
  OwnListeners own_streams, own_datagrams;
  std::shared_ptr<const socks::Accounts> proxy_accounts;  ///< null: the proxies are open to all
  relay::SniRoutes routes;
  relay::StreamLimit limit;
  std::size_t most_flows;    ///< of datagrams: the machine's other programs need local ports, too
  relay::StreamLimit flows;  ///< those of them that no thread has for itself
  relay::Rates rates;
  std::shared_ptr<relay::Rate> new_streams;  ///< null: any number
};

/// One port of a forward.
struct DirectPort {
  const DirectForward* forward;
  std::uint16_t offset;                            ///< from the first port of its range
  std::shared_ptr<relay::TargetGroup> group = {};  ///< of several targets; null: there is one, or none

  /// A place of the range's first port, for this one.
  [[nodiscard]] relay::Endpoint moved(relay::Endpoint endpoint) const;
};

/// What one thread carries of a DirectPlan. All calls on that thread, but those before serve().
class DirectLane {
 public:
  /// All of them must outlive it. `lanes`: there are of the plan.
  DirectLane(boost::asio::any_io_executor executor, const DirectCommons& commons, net::Resolver& resolver,
             std::size_t lanes);

  void add(const DirectPort& port, std::vector<net::Listener> listeners);
  void add(const DirectPort& port, std::vector<net::UdpListener> listeners, std::size_t most_flows);
  /// Watches the targets of a group.
  void watch(std::shared_ptr<relay::TargetGroup> group);

  [[nodiscard]] relay::Task<Result<void>> serve() { return forwards_.serve(); }
  void stop(Duration time);
  /// Of each of the plan's forwards, until now.
  [[nodiscard]] TrafficOf traffic() const { return forwards_.traffic(); }

 private:
  const DirectCommons& commons_;
  const std::shared_ptr<relay::FlowLimit> flows_;
  net::Resolver& resolver_;
  relay::DirectDialer to_targets_, checking_;
  relay::DirectDialer from_proxies_;
  std::optional<relay::ProxyHeaderDialer> with_header_;
  ForwardSet forwards_;
};

}  // namespace culvert::daemon

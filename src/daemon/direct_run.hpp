// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "daemon/forward_set.hpp"
#include "daemon/own_listeners.hpp"
#include "daemon/plan.hpp"
#include "daemon/run.hpp"
#include "engine/relay/direct_dialer.hpp"
#include "net/listener.hpp"
#include "net/resolver.hpp"
#include "proto/socks/accounts.hpp"

namespace culvert::daemon {

/// One DirectPlan at work: its listeners, and the forwards from them to their targets.
class DirectRun final : public Run {
 public:
  /// Both must outlive it.
  DirectRun(boost::asio::any_io_executor executor, const DirectPlan& plan, net::Resolver& resolver);

  [[nodiscard]] relay::Task<Result<void>> start() override;
  [[nodiscard]] relay::Task<Result<void>> serve() override { return forwards_.serve(); }
  void stop(Duration time) override { forwards_.stop(time); }

 private:
  /// The listeners of one port of a forward.
  struct Opened {
    const DirectForward* forward;
    std::uint16_t offset;
    std::vector<net::Listener> listeners;
  };

  relay::Task<Result<void>> open(const DirectForward& forward);
  relay::Task<Result<void>> check_targets(const DirectForward& forward);
  void add(Opened opened);

  const DirectPlan& plan_;
  net::Resolver& resolver_;
  OwnListeners own_streams_;  // TCP
  std::vector<Opened> opened_;
  std::shared_ptr<const socks::Accounts> proxy_accounts_;  // null: the proxies are open to all
  relay::DirectDialer to_targets_;
  relay::DirectDialer from_proxies_;
  ForwardSet forwards_;
};

}  // namespace culvert::daemon

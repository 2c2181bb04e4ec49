// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.hpp"
#include "base/time.hpp"
#include "crypto/random.hpp"
#include "daemon/bound_ports.hpp"
#include "daemon/plan.hpp"
#include "daemon/run.hpp"
#include "daemon/service_manager.hpp"
#include "daemon/stdio_run.hpp"
#include "engine/relay/direct_dialer.hpp"
#include "engine/relay/forward.hpp"
#include "engine/relay/proxy_header_dialer.hpp"
#include "engine/relay/signal.hpp"
#include "engine/relay/task_set.hpp"
#include "engine/tunnel/tunnel.hpp"
#include "net/listener.hpp"
#include "net/resolver.hpp"
#include "proto/socks/accounts.hpp"

namespace culvert::daemon {

/// One SessionPlan at work: its SSH connection and its forwards. It is done when its stdio stream has ended,
/// if it has one.
class SessionRun final : public Run {
 public:
  /// All of them must outlive it. `manager` is told of changes of state from start() on; the listeners here
  /// are put into `bound` when it has started.
  SessionRun(boost::asio::any_io_executor executor, const SessionPlan& plan, net::Resolver& resolver,
             crypto::Random& random, tunnel::Prompter& prompter, ServiceManager& manager, BoundPorts& bound);

  [[nodiscard]] relay::Task<Result<void>> start() override;
  [[nodiscard]] relay::Task<Result<void>> serve() override;
  void stop(Duration time) override;
  void tell() override;

 private:
  struct NamedForward {
    std::string name;  // "local 127.0.0.1:15432 -> db:5432"
    std::unique_ptr<relay::Forward> forward;
  };

  [[nodiscard]] Result<void> check_listeners() const;
  relay::Task<Result<void>> open_forwards();
  relay::Task<Result<void>> open_local_forwards();
  relay::Task<Result<void>> open_dynamic_forwards();
  relay::Task<Result<void>> open_remote_forwards();
  void note_bound(const std::vector<net::Listener>& listeners);
  /// Without a destination a proxy front is on the source.
  void add_forward(std::string name, std::unique_ptr<relay::Source> source, relay::Dialer& dialer,
                   std::optional<relay::Endpoint> destination);
  /// Passes the error on, or only warns of it (ExitOnForwardFailure=no).
  [[nodiscard]] Result<void> forward_failed(Error error) const;
  /// `inner`, or, if destinations are told who came, one on it that does.
  [[nodiscard]] relay::Dialer& telling(relay::Dialer& inner);
  relay::Task<void> run_forward(relay::Forward& forward);
  relay::Task<void> run_stdio();
  relay::Task<void> let_session_speak();
  relay::Task<void> watch_session();
  relay::Task<void> drain(Duration time);
  void over(Result<void> result);

  const boost::asio::any_io_executor executor_;
  const SessionPlan& plan_;
  net::Resolver& resolver_;
  BoundPorts& bound_;
  tunnel::Tunnel tunnel_;
  relay::DirectDialer direct_;
  relay::DirectDialer permitted_;  // of proxies at the server
  std::deque<relay::ProxyHeaderDialer> telling_;
  std::vector<NamedForward> forwards_;
  std::optional<StdioRun> stdio_;
  std::shared_ptr<const socks::Accounts> proxy_accounts_;  // null: the proxy fronts are open to all

  relay::Signal changed_;  // one of those below; serve() sleeps on it
  relay::TaskSet tasks_;
  std::optional<Result<void>> result_;  // how it ended, the first reason
  std::optional<Duration> stop_within_;
  bool session_over_ = false;
  bool stdio_over_ = false;
};

}  // namespace culvert::daemon

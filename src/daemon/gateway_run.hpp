// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "crypto/random.hpp"
#include "daemon/bound_ports.hpp"
#include "daemon/open_record.hpp"
#include "daemon/plan.hpp"
#include "daemon/run.hpp"
#include "engine/mapper/gateway.hpp"
#include "engine/relay/signal.hpp"
#include "engine/relay/task_set.hpp"
#include "net/route_watch.hpp"

namespace culvert::daemon {

/// A GatewayPlan at work: each default route's router, as routes come and go.
class GatewayRun final : public Run {
 public:
  /// `bound`: what the other runs listen at, which is complete when `others` of them have said started().
  /// `records`: as they were when this process began. All of them must outlive it.
  GatewayRun(boost::asio::any_io_executor executor, const GatewayPlan& plan, const BoundPorts& bound,
             OpenRecords& records, std::size_t others, crypto::Random& random);
  ~GatewayRun() override;

  /// One more of the other runs has its listeners.
  void started();
  /// Whether a router may keep something open, which it is told with stop().
  [[nodiscard]] bool has_asked() const { return !routers_.empty(); }

  [[nodiscard]] relay::Task<Result<void>> start() override;
  [[nodiscard]] relay::Task<Result<void>> serve() override;
  void stop(Duration time) override;
  void tell() override;

 private:
  struct Router;

  Result<void> follow_routes(const net::RouteChange& change);
  relay::Task<void> watch();
  void add(const net::DefaultRoute& route);
  void tell_failures();
  /// Tells if nobody listens at a port that was named, on this machine.
  void look_for_services() const;
  void write_record();
  /// Why a port cannot be had, since another culvert keeps it; empty: none does.
  [[nodiscard]] std::string kept_by_another() const;
  [[nodiscard]] gateway::Nonce nonce_for(const net::DefaultRoute& route, const mapper::Port& port);
  void drop_ended();
  [[nodiscard]] std::vector<mapper::Port> ports_for(const net::DefaultRoute& route) const;  // without nonces
  [[nodiscard]] bool any_open() const;
  [[nodiscard]] bool all_failed() const;
  [[nodiscard]] Error why_not() const;

  const boost::asio::any_io_executor executor_;
  const GatewayPlan& plan_;
  const BoundPorts& bound_;
  crypto::Random& random_;
  relay::Signal changed_;
  relay::TaskSet tasks_;
  std::size_t awaited_;  // other runs that have not started
  std::vector<std::unique_ptr<Router>> routers_;
  std::optional<net::RouteWatch> watch_;
  OpenRecords& records_;
  std::map<std::string, gateway::Nonce> nonces_;  // by router, protocol and place here
  std::optional<Duration> stop_within_;
};

}  // namespace culvert::daemon

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "daemon/bound_ports.hpp"
#include "daemon/direct_lane.hpp"
#include "daemon/life.hpp"
#include "daemon/plan.hpp"
#include "daemon/run.hpp"
#include "daemon/transparent_routing.hpp"
#include "engine/relay/signal.hpp"
#include "net/resolver.hpp"
#include "net/worker_threads.hpp"

namespace culvert::daemon {

/// One DirectPlan at work: its listeners, and the threads that carry its streams. The caller's thread is the
/// first of them. A port has a listener on each; Unix sockets, and ports of UDP that are many already or may
/// have few flows, are spread over them. open() needs the rights that the process was started with, the rest
/// does not.
class DirectRun final : public Run {
 public:
  /// All of them must outlive it. Its listeners are put into `bound` when it has started.
  DirectRun(boost::asio::any_io_executor executor, const DirectPlan& plan, net::Resolver& resolver,
            BoundPorts& bound);
  ~DirectRun() override;

  /// Opens its ports, and reads who may use its proxies. Before start(), once. `names` resolves what the
  /// listeners are called.
  [[nodiscard]] relay::Task<Result<void>> open(net::Resolver& names);
  /// Opens its Unix sockets: the account that it runs as makes them, and removes them in the end.
  [[nodiscard]] relay::Task<Result<void>> start() override;
  [[nodiscard]] relay::Task<Result<void>> serve() override;
  void stop(Duration time) override;
  void tell() override;
  [[nodiscard]] relay::Task<void> answers() override { return all_answer(workers_); }

 private:
  [[nodiscard]] std::shared_ptr<relay::TargetGroup> group_of(std::vector<relay::Endpoint> targets,
                                                             Transport transport);
  relay::Task<Result<void>> open(const DirectForward& forward, net::Resolver& names);
  /// What the listeners of a port are called.
  using Names = relay::Task<Result<std::vector<std::string>>>;
  [[nodiscard]] Names open_streams(const DirectPort& port, net::Resolver& names);
  [[nodiscard]] Names open_datagrams(const DirectPort& port, net::Resolver& names);
  [[nodiscard]] std::size_t lanes_for_datagrams(const DirectForward& forward) const;
  relay::Task<Result<void>> check_targets(const DirectForward& forward);
  void tell(const TrafficOf& all) const;
  void start_lane(std::size_t index);
  void over(Result<void> result);

  const boost::asio::any_io_executor executor_;
  const DirectPlan& plan_;
  net::Resolver& resolver_;
  BoundPorts& bound_;
  DirectCommons commons_;
  std::map<const DirectForward*, std::string> names_;  // of those that are open
  TransparentRouting routing_;
  net::WorkerThreads workers_;
  const std::vector<boost::asio::any_io_executor> executors_;
  std::vector<std::unique_ptr<DirectLane>> lanes_;  // of each thread, the caller's first
  std::size_t next_ = 0;                            // whose turn it is to get what one thread alone can have
  relay::Signal changed_;                           // one of those below; serve() sleeps on it
  std::size_t working_ = 0;
  std::optional<Result<void>> result_;
};

}  // namespace culvert::daemon

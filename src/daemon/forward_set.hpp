// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.hpp"
#include "base/time.hpp"
#include "daemon/plan.hpp"
#include "engine/relay/datagram_forward.hpp"
#include "engine/relay/forward.hpp"
#include "engine/relay/health_checks.hpp"
#include "engine/relay/signal.hpp"
#include "engine/relay/task_set.hpp"
#include "engine/relay/traffic.hpp"

namespace culvert::daemon {

/// By the mapping, in their order in the plan: they lie in one vector.
using TrafficOf = std::map<const DirectForward*, relay::Traffic>;

/// The forwards of one thread, from their start to the end of the last stream, and what runs beside them. All
/// calls on that thread.
class ForwardSet {
 public:
  explicit ForwardSet(boost::asio::any_io_executor executor)
      : changed_(std::move(executor)),
        tasks_(changed_, [this](Error error) { over(std::unexpected(std::move(error))); }) {}

  /// Before serve(). What it carries counts as that of `mapping`. `dialer` must outlive this.
  void add(const DirectForward& mapping, std::unique_ptr<relay::Source> source, relay::Dialer& dialer,
           relay::ForwardOptions options);
  void add(const DirectForward& mapping, std::unique_ptr<relay::DatagramForward> forward);
  void add(std::unique_ptr<relay::HealthChecks> checks);

  /// Runs all of them until stop(), or until one has failed: its error then, with its name. Nothing of them
  /// runs any more when this returns. Once.
  [[nodiscard]] relay::Task<Result<void>> serve();
  /// Takes no more streams, and gives those that live `time` to end. Any number of times; the first one
  /// counts.
  void stop(Duration time);
  /// Of each mapping, until now.
  [[nodiscard]] TrafficOf traffic() const;

 private:
  /// One of what was added.
  struct Part {
    virtual ~Part() = default;
    virtual relay::Task<Result<void>> run() = 0;
    virtual void stop() = 0;
    virtual relay::Task<void> drain(Duration) { co_return; }
    [[nodiscard]] virtual std::string name() const = 0;
    virtual void count(TrafficOf&) const {}
  };
  template <class Forward>
  struct ForwardPart;
  struct CheckPart;

  relay::Task<void> run(Part& part);
  void over(Result<void> result);

  std::vector<std::unique_ptr<Part>> parts_;
  relay::Signal changed_;  // one of those below; serve() sleeps on it
  relay::TaskSet tasks_;
  std::optional<Result<void>> result_;
  std::optional<Duration> stop_within_;
};

}  // namespace culvert::daemon

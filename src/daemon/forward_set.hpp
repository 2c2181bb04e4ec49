// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.hpp"
#include "base/time.hpp"
#include "engine/relay/forward.hpp"
#include "engine/relay/signal.hpp"

namespace culvert::daemon {

/// The forwards of one thread, from their start to the end of the last stream. All calls on that thread.
class ForwardSet {
 public:
  explicit ForwardSet(boost::asio::any_io_executor executor)
      : executor_(std::move(executor)), changed_(executor_) {}

  /// Before serve(). `dialer` must outlive this.
  void add(std::unique_ptr<relay::Source> source, relay::Dialer& dialer, relay::ForwardOptions options);

  /// Runs all of them until stop(), or until one has failed: its error then, with its name. Nothing of them
  /// runs any more when this returns. Once.
  [[nodiscard]] relay::Task<Result<void>> serve();
  /// Takes no more streams, and gives those that live `time` to end. Any number of times; the first one
  /// counts.
  void stop(Duration time);

 private:
  relay::Task<void> run(relay::Forward& forward);
  void over(Result<void> result);

  const boost::asio::any_io_executor executor_;
  std::vector<std::unique_ptr<relay::Forward>> forwards_;
  relay::Signal changed_;  // one of those below; serve() sleeps on it
  std::optional<Result<void>> result_;
  std::optional<Duration> stop_within_;
  std::size_t running_ = 0;
};

}  // namespace culvert::daemon

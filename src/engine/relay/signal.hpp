// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/time.hpp"
#include "engine/relay/stream.hpp"
#include "net/as_tuple.hpp"
#include "net/timer.hpp"

namespace culvert::relay {

/// Where coroutines of one thread sleep until something has changed. Each looks at the state itself, in a
/// loop.
class Signal {
 public:
  explicit Signal(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

  /// Returns after wake(), after `time`, after Asio cancellation, or for no reason. The signal may go before.
  [[nodiscard]] Task<void> wait(Duration time = std::chrono::hours(24)) {
    return wait_for(sleepers_, net::Timer(executor_, time));
  }
  [[nodiscard]] const boost::asio::any_io_executor& executor() const { return executor_; }
  void wake() {
    for (auto* sleeper : *sleepers_) sleeper->cancel();
  }

 private:
  using Sleepers = std::list<net::Timer*>;

  static Task<void> wait_for(std::shared_ptr<Sleepers> sleepers, net::Timer timer) {
    struct Listed {
      Listed(Sleepers& in, net::Timer& one) : list(in), entry(in.insert(in.end(), &one)) {}
      Listed(const Listed&) = delete;
      Listed& operator=(const Listed&) = delete;
      ~Listed() { list.erase(entry); }
      Sleepers& list;
      Sleepers::iterator entry;
    } listed(*sleepers, timer);
    (void)co_await timer.async_wait(net::kTuple);
  }

  boost::asio::any_io_executor executor_;
  std::shared_ptr<Sleepers> sleepers_ = std::make_shared<Sleepers>();
};

}  // namespace culvert::relay

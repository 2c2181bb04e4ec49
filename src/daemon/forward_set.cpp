// SPDX-License-Identifier: Apache-2.0
#include "daemon/forward_set.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include <boost/asio/co_spawn.hpp>

#include <fmt/format.h>

namespace culvert::daemon {

namespace asio = boost::asio;

void ForwardSet::add(std::unique_ptr<relay::Source> source, relay::Dialer& dialer,
                     relay::ForwardOptions options) {
  forwards_.push_back(std::make_unique<relay::Forward>(std::move(source), dialer, std::move(options)));
}

relay::Task<Result<void>> ForwardSet::serve() {
  for (const auto& forward : forwards_) {
    ++running_;
    asio::co_spawn(executor_, run(*forward), [this](const std::exception_ptr& exception) {
      --running_;
      changed_.wake();
      if (!exception) return;
      try {
        std::rethrow_exception(exception);
      } catch (const std::exception& error) {  // memory ran out
        over(fail(Errc::system, error.what()));
      }
    });
  }
  while (!result_ && !stop_within_) co_await changed_.wait();

  const Instant deadline = monotonic_now() + stop_within_.value_or(Duration::zero());
  for (const auto& forward : forwards_) forward->stop();
  for (const auto& forward : forwards_)
    co_await forward->drain(std::max(Duration::zero(), deadline - monotonic_now()));
  while (running_ > 0) co_await changed_.wait();
  co_return result_.value_or(Result<void>());
}

void ForwardSet::stop(Duration time) {
  if (!stop_within_) stop_within_ = time;
  changed_.wake();
}

relay::Task<void> ForwardSet::run(relay::Forward& forward) {
  const auto ended = co_await forward.run();
  if (ended || ended.error().code == Errc::cancelled) co_return;
  over(fail(ended.error().code, fmt::format("{}: {}", forward.name(), ended.error().message)));
}

void ForwardSet::over(Result<void> result) {
  if (!result_ && !stop_within_) result_ = std::move(result);  // what happens after stop() is its consequence
  changed_.wake();
}

}  // namespace culvert::daemon

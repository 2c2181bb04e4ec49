// SPDX-License-Identifier: Apache-2.0
#include "net/watched_fd.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace culvert::net {

namespace asio = boost::asio;

Result<WatchedFd> WatchedFd::watch(const asio::any_io_executor& executor, UniqueFd fd) {
  Readiness& readiness = Readiness::of(executor);
  WatchedFd watched;
  watched.watch_ = TRY(readiness.add(fd.get(), Readiness::Kind::other));
  watched.readiness_ = &readiness;
  watched.fd_ = std::move(fd);
  return watched;
}

asio::awaitable<Result<void>> WatchedFd::wait_readable() {
  if (!is_open()) co_return cancelled();
  const bool ready = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(bool)>(
      [this](auto handler) { async_wait(std::move(handler)); }, asio::use_awaitable);
  if (!ready) co_return cancelled();
  co_return Result<void>();
}

// What was there before the first wait the kernel tells in any case.
void WatchedFd::ask_again() {
  // If it fails the wait returns at once, and whoever reads meets the cause.
  if (std::exchange(was_waited_for_, true)) (void)readiness_->ask_again(watch_, Readiness::Direction::in);
}

void WatchedFd::cancel() {
  if (is_open()) readiness_->cancel(watch_, Readiness::Direction::in);
}

void WatchedFd::close() {
  if (!is_open()) return;
  readiness_->remove(watch_);
  fd_.reset();
}

}  // namespace culvert::net

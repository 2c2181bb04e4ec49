// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/poll_wait.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <cerrno>

#include <utility>

#include "net/unique_fd.hpp"

namespace culvert::relay {

PollWait::PollWait(const boost::asio::any_io_executor& executor, int descriptor, unsigned events)
    : descriptor_(descriptor), poll_events_((events & EPOLLIN) != 0 ? POLLIN : POLLOUT) {
  net::UniqueFd inner(::epoll_create1(EPOLL_CLOEXEC));
  if (!inner) {
    failure_ = errno;
    return;
  }
  epoll_event event = {};
  event.events = events;
  if (::epoll_ctl(inner.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
    always_ready_ = errno == EPERM;  // a regular file, /dev/null
    failure_ = always_ready_ ? 0 : errno;
    return;
  }
  auto watched = net::WatchedFd::watch(executor, std::move(inner));
  if (!watched) {
    failure_ = static_cast<int>(watched.error().detail);
    return;
  }
  epoll_ = *std::move(watched);
}

bool PollWait::ready() const {
  if (always_ready_) return true;
  pollfd state = {descriptor_, poll_events_, 0};
  return ::poll(&state, 1, 0) > 0;
}

Task<Result<void>> PollWait::wait() {
  if (always_ready_) co_return Result<void>();
  if (failure_ != 0) co_return fail_errno("cannot wait for a descriptor", failure_);
  if (!epoll_.is_open()) co_return cancelled();
  co_return co_await epoll_.wait_readable();
}

void PollWait::close() { epoll_.close(); }

}  // namespace culvert::relay

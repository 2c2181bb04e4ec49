// SPDX-License-Identifier: Apache-2.0
#include "net/ready_set.hpp"

#include <cerrno>

#include "net/as_tuple.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

namespace asio = boost::asio;

ReadySet::ReadySet(const asio::any_io_executor& executor) : epoll_(executor) {
  UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return;  // add() says so
  boost::system::error_code error;
  epoll_.assign(epoll.get(), error);
  if (!error) (void)epoll.release();
}

Result<void> ReadySet::add(int socket, void* owner) {
  if (!epoll_.is_open()) return fail_errno("cannot wait for a socket", EBADF);
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.ptr = owner;
  if (::epoll_ctl(epoll_.native_handle(), EPOLL_CTL_ADD, socket, &event) == 0) return {};
  return fail_errno("cannot wait for a socket", errno);
}

std::span<const ReadySet::Ready> ReadySet::ready() {
  if (!epoll_.is_open()) return {};
  const int count = ::epoll_wait(epoll_.native_handle(), events_.data(), static_cast<int>(kAtOnce), 0);
  if (count <= 0) return {};
  const auto size = static_cast<std::size_t>(count);
  for (std::size_t i = 0; i < size; ++i)
    ready_[i] = {events_[i].data.ptr, (events_[i].events & EPOLLERR) != 0};
  return std::span(ready_).first(size);
}

asio::awaitable<Result<void>> ReadySet::wait() {
  if (!epoll_.is_open()) co_return cancelled();
  const auto [error] = co_await epoll_.async_wait(asio::posix::descriptor_base::wait_read, kTuple);
  if (error) co_return cancelled();
  co_return Result<void>();
}

void ReadySet::close() {
  boost::system::error_code ignored;
  if (epoll_.is_open()) epoll_.close(ignored);
}

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#include "net/stream_socket.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "net/unique_fd.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

asio::awaitable<Result<void>> wait_for(StreamSocket& socket, StreamSocket::Direction direction) {
  if (!socket.is_open()) co_return cancelled();
  if (socket.may_try(direction)) co_return Result<void>();
  const bool ready = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(bool)>(
      [&](auto handler) { socket.async_wait(direction, std::move(handler)); }, asio::use_awaitable);
  if (!ready) co_return cancelled();
  co_return Result<void>();
}

}  // namespace

Transferred StreamSocket::read(MutableBytes into) {
  const Transferred got = try_read(descriptor_, into);
  if (got.would_block()) {
    readiness_->drained(watch_, Direction::in);
  } else if (got.bytes > 0) {
    readiness_->read(watch_, got.bytes, into.size());
  }
  return got;
}

Transferred StreamSocket::write(std::span<const ByteView> bytes) {
  const Transferred put = try_write(descriptor_, bytes);
  const bool is_full = put.error == 0 && bytes.size() <= kMaxViews && put.bytes < size_of(bytes);
  if (is_full || put.would_block()) readiness_->drained(watch_, Direction::out);
  return put;
}

Transferred StreamSocket::write(ByteView bytes) { return write(std::span(&bytes, 1)); }

int StreamSocket::take_error() {
  int error = 0;
  socklen_t length = sizeof error;
  return ::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

void StreamSocket::cancel() {
  if (!is_open()) return;
  readiness_->cancel(watch_, Direction::in);
  readiness_->cancel(watch_, Direction::out);
}

void StreamSocket::close() {
  if (!is_open()) return;
  readiness_->remove(watch_);
  ::close(std::exchange(descriptor_, -1));
}

UniqueFd StreamSocket::release() {
  readiness_->let_go(watch_);
  return UniqueFd(std::exchange(descriptor_, -1));
}

asio::awaitable<Result<void>> wait_readable(StreamSocket& socket) {
  return wait_for(socket, StreamSocket::Direction::in);
}

asio::awaitable<Result<void>> wait_writable(StreamSocket& socket) {
  return wait_for(socket, StreamSocket::Direction::out);
}

Result<StreamSocket> adopt(const asio::any_io_executor& executor, int descriptor) {
  UniqueFd owner(descriptor);
  int family = 0;
  socklen_t length = sizeof family;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &family, &length) != 0)
    return fail_errno("socket", errno);
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags < 0 || ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0)
    return fail_errno("cannot make a socket non-blocking", errno);
  return adopt(executor, owner.release(), family);
}

Result<StreamSocket> adopt(const asio::any_io_executor& executor, int descriptor, int family) {
  UniqueFd owner(descriptor);
  Readiness& readiness = Readiness::of(executor);
  const auto kind = family == AF_UNIX ? Readiness::Kind::other : Readiness::Kind::tcp;
  StreamSocket socket;
  socket.watch_ = TRY(readiness.add(descriptor, kind));
  socket.readiness_ = &readiness;
  socket.descriptor_ = owner.release();
  return socket;
}

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
//
// Where a byte waits:   socket -> thread_scratch() -> the destination's write()
//                                      | what it did not take
//                                      v
//                                lent_ (at most kScratchSize), lent first by the next read()
#include "engine/relay/socket_stream.hpp"

#include <algorithm>
#include <utility>

#include <sys/socket.h>

#include "engine/relay/scratch.hpp"
#include "net/lingering_close.hpp"
#include "net/socket.hpp"

namespace culvert::relay {

namespace {

constexpr std::size_t kSmallestRead = std::size_t{16} * 1024;

}  // namespace

SocketStream::~SocketStream() {
  if (closed_) return;
  if (read_ended_ && write_ended_) {
    close();
  } else {
    abort();
  }
}

Task<Result<std::span<const ByteView>>> SocketStream::read() {
  for (;;) {
    if (auto got = try_read()) co_return std::move(*got);
    auto ready = co_await net::wait_readable(socket_);
    if (!ready && !closed_) co_return std::unexpected(std::move(ready).error());
  }
}

std::optional<Result<std::span<const ByteView>>> SocketStream::try_read() {
  if (closed_) return cancelled();
  if (lent_.has_rest()) return lent_.lend_rest();
  if (read_ended_) return std::span<const ByteView>();
  if (!std::exchange(is_likely_, true)) return std::nullopt;
  const auto into = thread_scratch().first(read_size_);
  const auto got = socket_.read(into);
  if (got.failed()) return std::unexpected(net::io_error("", got.error));
  if (got.would_block()) {
    lent_.settle();
    return std::nullopt;
  }
  if (got.bytes == 0) {
    read_ended_ = true;
    return std::span<const ByteView>();
  }
  if (got.bytes == into.size())
    read_size_ = static_cast<std::uint32_t>(std::min<std::size_t>(into.size() * 2, kScratchSize));
  // After a small read there is seldom more at once, and waiting misses nothing: a system call is saved for
  // each message.
  is_likely_ = got.bytes >= kSmallestRead;
  return lent_.lend(into.first(got.bytes));
}

void SocketStream::keep() {
  const std::size_t rest = lent_.keep();
  if (rest == 0) return;
  // Reading more than the destination takes costs a copy and memory.
  read_size_ = static_cast<std::uint32_t>(std::max<std::size_t>(read_size_ / 2, kSmallestRead));
}

Result<std::size_t> SocketStream::write(std::span<const ByteView> bytes) {
  if (closed_ || write_ended_) return fail(Errc::closed, "closed");
  const auto put = socket_.write(bytes);
  if (put.failed()) return std::unexpected(net::io_error("", put.error));
  return put.bytes;
}

Task<Result<void>> SocketStream::writable() {
  if (closed_) co_return cancelled();
  if (write_ended_) co_return fail(Errc::closed, "closed");
  auto ready = co_await net::wait_writable(socket_);
  if (closed_) co_return cancelled();
  co_return ready;
}

void SocketStream::end() {
  if (closed_ || std::exchange(write_ended_, true)) return;
  if (!read_ended_) return (void)::shutdown(socket_.native_handle(), SHUT_WR);
  // Nothing is left to do for it: the end of both directions takes one call.
  socket_.close();
}

void SocketStream::close() {
  if (std::exchange(closed_, true) || !socket_.is_open()) return;
  socket_.cancel();
  if (read_ended_) {
    socket_.close();  // nothing can come that the kernel would answer with a reset
  } else {
    net::lingering_close(std::move(socket_));
  }
}

void SocketStream::abort() {
  if (std::exchange(closed_, true) || !socket_.is_open()) return;
  (void)net::set_reset_on_close(socket_.native_handle());
  socket_.close();
}

std::size_t SocketStream::unsent() const {
  return closed_ || !socket_.is_open() ? 0 : net::unsent(socket_.native_handle());
}

SocketStream* SocketStream::kernel_socket() { return closed_ || !socket_.is_open() ? nullptr : this; }

}  // namespace culvert::relay

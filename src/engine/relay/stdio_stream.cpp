// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/stdio_stream.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/relay/scratch.hpp"
#include "net/socket.hpp"

namespace culvert::relay {

namespace {

constexpr std::size_t kReadSize = std::size_t{64} * 1024;
/// A file takes all of it, but not without time: other streams get their turn.
constexpr std::size_t kWriteSize = std::size_t{256} * 1024;
/// A terminal says writable while 256 characters fit.
constexpr std::size_t kTerminalWrite = 256;

void put_null_device_at(int descriptor) {
  const int null_device = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null_device < 0) {
    ::close(descriptor);
    return;
  }
  ::dup2(null_device, descriptor);
  ::close(null_device);
}

}  // namespace

StdioStream::StdioStream(const boost::asio::any_io_executor& executor, int input, int output)
    : input_(input),
      output_(output),
      readable_(executor, input, EPOLLIN),
      writable_(executor, output, EPOLLOUT) {
  (void)std::signal(SIGPIPE, SIG_IGN);
  struct stat status = {};
  if (::fstat(output, &status) == 0) {
    output_is_socket_ = S_ISSOCK(status.st_mode);
    sure_to_fit_ = S_ISREG(status.st_mode)    ? kWriteSize
                   : S_ISFIFO(status.st_mode) ? PIPE_BUF
                                              : kTerminalWrite;
  }
}

StdioStream::~StdioStream() { close(); }

Task<Result<std::span<const ByteView>>> StdioStream::read() {
  if (closed_) co_return cancelled();
  if (lent_.has_rest()) co_return lent_.lend_rest();
  if (read_ended_) co_return std::span<const ByteView>();
  for (;;) {
    if (readable_.ready()) {
      const auto into = thread_scratch().first(kReadSize);
      const ssize_t count = ::read(input_, into.data(), into.size());
      if (count > 0) co_return lent_.lend(into.first(static_cast<std::size_t>(count)));
      if (count == 0 || errno == EIO) {  // EIO: the terminal is gone
        read_ended_ = true;
        co_return std::span<const ByteView>();
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) co_return std::unexpected(net::io_error("standard input", errno));
    }
    lent_.settle();
    auto ready = co_await readable_.wait();
    if (closed_) co_return cancelled();
    if (!ready) co_return std::unexpected(std::move(ready).error());
  }
}

Result<std::size_t> StdioStream::write(std::span<const ByteView> bytes) {
  if (closed_ || write_ended_) return fail(Errc::closed, "closed");
  std::size_t total = 0;
  if (output_is_socket_) {
    const auto put = net::try_write(output_, bytes);
    if (put.error == EPIPE) return fail(Errc::reset, "standard output: nobody reads it", EPIPE);
    if (put.failed()) return std::unexpected(net::io_error("standard output", put.error));
    return put.bytes;
  }
  for (ByteView view : bytes) {
    while (!view.empty() && total < kWriteSize) {
      if (!writable_.ready()) return total;
      auto put = write_some(view.first(std::min(view.size(), sure_to_fit_)));
      if (!put) {
        if (total > 0) return total;  // the next call says it again
        return std::unexpected(std::move(put).error());
      }
      if (*put == 0) return total;
      total += *put;
      view = view.subspan(*put);
    }
  }
  return total;
}

Result<std::size_t> StdioStream::write_some(ByteView bytes) {
  for (;;) {
    const ssize_t count = ::write(output_, bytes.data(), bytes.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno == EINTR) continue;
    if (errno == EAGAIN) return 0;  // somebody else made it non-blocking
    if (errno == EPIPE) return fail(Errc::reset, "standard output: nobody reads it", EPIPE);
    return std::unexpected(net::io_error("standard output", errno));
  }
}

Task<Result<void>> StdioStream::writable() {
  if (closed_) co_return cancelled();
  if (write_ended_) co_return fail(Errc::closed, "closed");
  auto ready = co_await writable_.wait();
  if (closed_) co_return cancelled();
  co_return ready;
}

void StdioStream::end() {
  if (closed_ || std::exchange(write_ended_, true)) return;
  writable_.close();
  if (output_is_socket_) (void)::shutdown(output_, SHUT_WR);
  put_null_device_at(output_);
}

void StdioStream::close() {
  if (closed_) return;
  end();
  closed_ = true;
  readable_.close();
  put_null_device_at(input_);
}

}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#include "net/lingering_close.hpp"

#include <array>
#include <memory>
#include <utility>

#include <sys/socket.h>
#include <boost/asio/steady_timer.hpp>

namespace culvert::net {

namespace {

/// The audited place of style.md lesson 16 where something has no owner but its own handlers: both hold it,
/// both end within the time given.
struct Lingering : std::enable_shared_from_this<Lingering> {
  explicit Lingering(StreamSocket closing) : socket(std::move(closing)), deadline(socket.get_executor()) {}

  void start(Duration time) {
    deadline.expires_after(time);
    deadline.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error) self->close();
    });
    wait();
  }

  void wait() {
    socket.async_wait(StreamSocket::wait_read,
                      [self = shared_from_this()](const boost::system::error_code& error) {
                        if (error || !self->drain()) return self->close();
                        self->wait();
                      });
  }

  /// False once there is nothing to wait for. Bounded, so that a flood does not hold the thread.
  bool drain() {
    std::array<std::uint8_t, 16384> thrown_away;
    for (int i = 0; i < 16; ++i) {
      const auto read = try_read(socket.native_handle(), thrown_away);
      if (read.would_block()) return true;
      if (read.failed() || read.bytes == 0) return false;
    }
    return true;
  }

  void close() {
    deadline.cancel();
    boost::system::error_code ignored;
    socket.close(ignored);
  }

  StreamSocket socket;
  boost::asio::steady_timer deadline;
};

}  // namespace

void lingering_close(StreamSocket socket, Duration time) {
  if (!socket.is_open() || ::shutdown(socket.native_handle(), SHUT_WR) != 0) return;
  const auto lingering = std::make_shared<Lingering>(std::move(socket));
  if (lingering->drain()) lingering->start(time);
}

}  // namespace culvert::net

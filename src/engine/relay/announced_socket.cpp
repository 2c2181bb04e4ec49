// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/announced_socket.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "engine/relay/proxy_header.hpp"
#include "net/cancelled.hpp"
#include "net/timer.hpp"
#include "proto/proxyproto/decoder.hpp"

namespace culvert::relay {

namespace asio = boost::asio;
using proxyproto::Decoder;

namespace {

// Shared with the handler of the clock, which may come when all is over.
struct Reading {
  explicit Reading(net::StreamSocket from) : socket(std::move(from)), clock(socket.get_executor()) {}

  static void limit(const std::shared_ptr<Reading>& reading, Duration patience) {
    reading->clock.expires_after(patience);
    reading->clock.async_wait([reading](const boost::system::error_code& failed) {
      if (failed || reading->is_over) return;
      reading->is_late = true;
      reading->socket.cancel();
    });
  }

  net::StreamSocket socket;
  net::Timer clock;
  bool is_late = false;
  bool is_over = false;
};

// What is there is looked at first, so that what is behind the header stays. False: nothing is there yet.
Result<bool> feed_from(int socket, Decoder& decoder) {
  std::array<std::uint8_t, 512> bytes;
  ssize_t seen = 0;
  do seen = ::recv(socket, bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
  while (seen < 0 && errno == EINTR);
  if (seen < 0 && errno == EAGAIN) return false;
  if (seen < 0) return std::unexpected(net::io_error("", errno));
  if (seen == 0) return fail(Errc::closed, "it ended without a PROXY protocol header");
  const std::size_t taken = decoder.feed(ByteView(bytes).first(static_cast<std::size_t>(seen)));
  if (taken > 0 && ::recv(socket, bytes.data(), taken, MSG_DONTWAIT) < 0)
    return std::unexpected(net::io_error("", errno));
  return true;
}

Task<Result<void>> read_header(Reading& reading, Decoder& decoder) {
  while (decoder.state() == Decoder::State::reading) {
    if (reading.is_late) co_return fail(Errc::timed_out, "no PROXY protocol header came in time");
    if (CO_TRY(feed_from(reading.socket.native_handle(), decoder))) continue;
    reading.socket.met_not_now(net::StreamSocket::Direction::in);
    (void)co_await net::wait_readable(reading.socket);
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
  }
  if (decoder.state() == Decoder::State::malformed)
    co_return fail(Errc::malformed, std::string(decoder.why()));
  co_return Result<void>();
}

}  // namespace

Task<Result<AnnouncedSocket>> take_announced(net::StreamSocket socket, Duration patience) {
  const auto reading = std::make_shared<Reading>(std::move(socket));
  Reading::limit(reading, patience);
  Decoder decoder;
  const auto read = co_await read_header(*reading, decoder);
  reading->is_over = true;
  reading->clock.cancel();
  net::StreamSocket taken = std::move(reading->socket);  // the handler of the clock does not keep it
  if (!read) co_return std::unexpected(read.error());
  co_return AnnouncedSocket{std::move(taken), visit_in(decoder.header())};
}

}  // namespace culvert::relay

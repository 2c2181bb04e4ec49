// SPDX-License-Identifier: Apache-2.0
#include "net/passed_socket.hpp"

#include <cerrno>

#include <sys/socket.h>

#include "net/descriptor_message.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

Result<void> check_connection(int descriptor) {
  int type = 0;
  socklen_t length = sizeof type;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) != 0)
    return fail(Errc::malformed, "what it passed is no socket");
  if (type != SOCK_STREAM) return fail(Errc::malformed, "what it passed is no stream socket");
  sockaddr_storage peer = {};
  length = sizeof peer;
  if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &length) != 0)
    return fail(Errc::malformed, "the socket that it passed is not connected");
  return {};
}

}  // namespace

asio::awaitable<Result<StreamSocket>> receive_socket(StreamSocket& from) {
  for (;;) {
    std::uint8_t byte = 0;
    auto message = receive_with_descriptors(from.native_handle(), {&byte, 1}, Waiting::no);
    if (message.got.would_block()) {
      from.met_not_now(StreamSocket::Direction::in);
      if (const auto ready = co_await wait_readable(from); !ready) co_return std::unexpected(ready.error());
      continue;
    }
    // A program that was killed with something of ours unread shows as a reset; it ended all the same.
    if (message.got.error != 0 && message.got.error != ECONNRESET)
      co_return std::unexpected(io_error("", message.got.error));
    if (message.got.bytes == 0) co_return fail(Errc::closed, "it ended without passing a connection");
    if (message.descriptors.empty())
      co_return fail(Errc::malformed, "it wrote data and passed no connection");
    if (message.descriptors.size() > 1 || message.is_cut)
      co_return fail(Errc::malformed, "it passed more than one descriptor");
    UniqueFd& passed = message.descriptors[0];
    CO_TRY(check_connection(passed.get()));
    co_return adopt(from.get_executor(), passed.release());
  }
}

}  // namespace culvert::net

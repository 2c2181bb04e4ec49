// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/direct_dialer.hpp"

#include <cerrno>

#include <fmt/format.h>

#include "base/text.hpp"
#include "engine/relay/socket_stream.hpp"

namespace culvert::relay {

namespace {

Dialed dialed(Result<net::StreamSocket> socket) {
  if (socket) return std::make_unique<SocketStream>(std::move(*socket), SocketStream::Expects::nothing);
  return std::unexpected(DialError{refusal_for(socket.error()), "connect failed: " + socket.error().message});
}

}  // namespace

Refusal refusal_for(const Error& error) {
  switch (error.code) {
    case Errc::timed_out:
      return Refusal::timed_out;
    case Errc::limit:
      return Refusal::overloaded;
    case Errc::cancelled:
      return Refusal::closed;
    case Errc::denied:
      return Refusal::prohibited;
    case Errc::system:
      break;
    default:
      return Refusal::unreachable;
  }
  switch (error.detail) {
    case ECONNREFUSED:
    case ECONNRESET:
      return Refusal::connection_refused;
    case ENETUNREACH:
      return Refusal::network_unreachable;
    case EACCES:
    case EPERM:
      return Refusal::prohibited;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
      return Refusal::overloaded;
    default:
      return Refusal::unreachable;
  }
}

Task<Dialed> DirectDialer::dial(const Endpoint& destination, const Endpoint&) {
  if (const auto* unix_path = std::get_if<UnixPath>(&destination)) {
    co_return dialed(co_await net::connect_unix(unix_path->path));
  }
  const auto& place = std::get<HostPort>(destination);
  auto addresses = co_await resolver_.resolve(place.host, place.port, family_);
  if (!addresses) {
    co_return std::unexpected(
        DialError{refusal_for(addresses.error()),
                  fmt::format("cannot resolve {}: {}", printable(place.host), addresses.error().message)});
  }
  co_return dialed(co_await net::connect_tcp(std::move(*addresses), options_));
}

}  // namespace culvert::relay

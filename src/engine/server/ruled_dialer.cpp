// SPDX-License-Identifier: Apache-2.0
#include "engine/server/ruled_dialer.hpp"

#include <stdlib.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "engine/relay/socket_stream.hpp"
#include "engine/server/stream_meter.hpp"
#include "net/addresses.hpp"
#include "net/connect.hpp"

namespace culvert::server {

namespace asio = boost::asio;
using relay::DialError;
using relay::Refusal;

namespace {

constexpr auto kDialed = relay::SocketStream::Expects::nothing;

// Nothing on the way to it may be a symbolic link: the path that was judged is the one that is opened.
bool is_plain_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), ::free);
  return real != nullptr && path == real.get();
}

}  // namespace

relay::Task<relay::Dialed> RuledDialer::dial(const relay::Endpoint& destination, const relay::Visit& visit) {
  context_->accounts.lock()->refresh(*permit_);
  auto place = Place::of_stream(permit_);
  if (!place)
    co_return std::unexpected(DialError{Refusal::overloaded, "not permitted: " + place.error().message});
  const auto* path = std::get_if<relay::UnixPath>(&destination);
  auto socket = path != nullptr ? co_await connect_unix(path->path)
                                : co_await connect_tcp(std::get<relay::HostPort>(destination));
  if (!socket) co_return std::unexpected(std::move(socket).error());
  co_return std::make_unique<relay::MeteredStream>(
      std::make_unique<relay::SocketStream>(std::move(*socket), kDialed),
      std::make_unique<StreamMeter>(std::move(*place),
                                    StreamName{who_, Direction::direct, destination, visit.origin()}));
}

relay::Task<relay::Connected> RuledDialer::connect_tcp(relay::HostPort place) {
  net::ConnectOptions options;
  options.attempt_timeout = context_->options.connect_time;
  auto judge = [permit = permit_](std::string_view host, std::uint16_t port,
                                  const std::optional<IpAddress>& resolved) {
    return files::may_connect(permit->grants, host, port, resolved, net::is_own);
  };
  co_return co_await relay::connect_judged(context_->resolver, std::move(place), net::Family::any,
                                           std::move(options), std::move(judge),
                                           permit_->user + ' ' + permit_->fingerprint);
}

relay::Task<relay::Connected> RuledDialer::connect_unix(std::string path) {
  const auto decision = files::may_connect_path(permit_->grants, path);
  if (!decision) co_return std::unexpected(relay::not_permitted(decision));
  if (!is_plain_path(decision.path)) {
    co_return std::unexpected(
        DialError{Refusal::unreachable,
                  "connect failed: there is no such socket, or a symbolic link on the way to it"});
  }
  auto socket = co_await net::connect_unix(decision.path, context_->options.connect_time);
  if (!socket) co_return std::unexpected(relay::connect_failed(socket.error()));
  co_return std::move(*socket);
}

}  // namespace culvert::server

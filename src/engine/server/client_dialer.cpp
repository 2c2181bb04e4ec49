// SPDX-License-Identifier: Apache-2.0
#include "engine/server/client_dialer.hpp"

#include <utility>

#include <fmt/format.h>

#include "engine/connection/channel_stream.hpp"
#include "engine/connection/dial_error.hpp"
#include "engine/connection/session_driver.hpp"
#include "engine/server/stream_meter.hpp"

namespace culvert::server {

using relay::DialError;
using relay::Refusal;

namespace {

Result<ssh::ChannelId> open(ssh::Session& session, const relay::Endpoint& asked,
                            const relay::Endpoint& origin) {
  if (const auto* path = std::get_if<relay::UnixPath>(&asked))
    return session.open_forwarded_streamlocal(path->path);
  const auto& place = std::get<relay::HostPort>(asked);
  const auto* from = std::get_if<relay::HostPort>(&origin);
  if (from == nullptr) return session.open_forwarded_tcpip(place.host, place.port, "127.0.0.1", 65535);
  return session.open_forwarded_tcpip(place.host, place.port, from->host, from->port);
}

}  // namespace

ClientDialer::ClientDialer(std::shared_ptr<Context> context,
                           std::shared_ptr<connection::SessionDriver> driver, relay::Endpoint asked,
                           std::shared_ptr<Permit> permit, ClientName who)
    : context_(std::move(context)),
      driver_(std::move(driver)),
      asked_(std::move(asked)),
      permit_(std::move(permit)),
      who_(std::move(who)) {}

relay::Task<relay::Dialed> ClientDialer::dial(const relay::Endpoint&, const relay::Visit& visit) {
  const auto gone = [] { return std::unexpected(DialError{Refusal::closed, "the client is gone"}); };
  if (driver_->is_over()) co_return gone();
  context_->accounts.lock()->refresh(*permit_);
  auto place = Place::of_stream(permit_);
  if (!place)
    co_return std::unexpected(DialError{Refusal::overloaded, "not permitted: " + place.error().message});
  const auto id = open(driver_->session(), asked_, visit.origin());
  if (!id) {
    const auto reason = id.error().code == Errc::limit ? Refusal::overloaded : Refusal::closed;
    co_return std::unexpected(DialError{reason, "open failed: " + id.error().message});
  }
  auto stream = std::make_unique<connection::ChannelStream>(driver_, *id);
  driver_->after_command();
  if (!co_await stream->opened()) {
    if (stream->refusal() != nullptr && !driver_->is_over())
      co_return std::unexpected(connection::dial_error(*stream->refusal()));
    co_return gone();
  }
  co_return std::make_unique<relay::MeteredStream>(
      std::move(stream),
      std::make_unique<StreamMeter>(std::move(*place),
                                    StreamName{who_, Direction::forwarded, asked_, visit.origin()}));
}

}  // namespace culvert::server

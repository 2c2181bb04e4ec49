// SPDX-License-Identifier: Apache-2.0
#include "engine/connection/pending_channel.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/assert.hpp"
#include "engine/connection/channel_stream.hpp"
#include "engine/connection/session_driver.hpp"

namespace culvert::connection {
namespace {

std::pair<ssh::OpenFailure, std::string_view> words_for(relay::Refusal refusal) {
  using enum ssh::OpenFailure;
  switch (refusal) {
    case relay::Refusal::prohibited:
      return {administratively_prohibited, "not permitted"};
    case relay::Refusal::unsupported:
      return {administratively_prohibited, "not supported"};
    case relay::Refusal::overloaded:
      return {resource_shortage, "a limit is reached"};
    case relay::Refusal::too_many_names:
      return {resource_shortage, "too many names are being looked up"};
    case relay::Refusal::connection_refused:
      return {connect_failed, "Connection refused"};
    case relay::Refusal::timed_out:
      return {connect_failed, "Connection timed out"};
    case relay::Refusal::network_unreachable:
      return {connect_failed, "Network is unreachable"};
    case relay::Refusal::unreachable:
    case relay::Refusal::no_source:
    case relay::Refusal::closed:
      break;
  }
  return {connect_failed, "connect failed"};
}

relay::HostPort place(const std::string& host, std::uint32_t port) {
  return {host, static_cast<std::uint16_t>(std::min<std::uint32_t>(port, 65535))};
}

relay::Endpoint origin_of(const ssh::ChannelRequested& channel) {
  if (!channel.type.ends_with("-tcpip")) return relay::UnixPath{};
  return place(channel.origin_host, channel.origin_port);
}

// A direct channel says where it wants to go, and not where its visitor came.
std::optional<relay::Endpoint> connected_by(const ssh::ChannelRequested& channel) {
  if (channel.type == "forwarded-tcpip") return place(channel.host, channel.port);
  if (channel.type == "forwarded-streamlocal@openssh.com") return relay::UnixPath{channel.host};
  return std::nullopt;
}

}  // namespace

PendingChannel::PendingChannel(std::shared_ptr<SessionDriver> driver, const ssh::ChannelRequested& channel,
                               std::optional<relay::Endpoint> destination)
    : driver_(std::move(driver)),
      id_(channel.id),
      destination_(std::move(destination)),
      origin_(origin_of(channel)),
      connected_to_(connected_by(channel)) {}

PendingChannel::~PendingChannel() {
  if (!done_) refuse(relay::Refusal::closed);
}

std::unique_ptr<relay::Stream> PendingChannel::accept() {
  CULVERT_ASSERT(!std::exchange(done_, true));
  if (driver_->is_over()) return ChannelStream::lost(driver_);
  driver_->session().accept_channel(id_);
  auto stream = std::make_unique<ChannelStream>(driver_, id_);
  driver_->after_command();
  return stream;
}

void PendingChannel::refuse(relay::Refusal reason) {
  CULVERT_ASSERT(!std::exchange(done_, true));
  if (driver_->is_over()) return;
  const auto [failure, text] = words_for(reason);
  driver_->session().refuse_channel(id_, failure, text);
  driver_->after_command();
}

}  // namespace culvert::connection

// SPDX-License-Identifier: Apache-2.0
#include "engine/server/peer_channels.hpp"

#include <utility>

#include "engine/connection/pending_channel.hpp"
#include "engine/connection/session_driver.hpp"

namespace culvert::server {

struct PeerChannels::State {
  explicit State(std::shared_ptr<connection::SessionDriver> over) : driver(std::move(over)) {}
  const std::shared_ptr<connection::SessionDriver> driver;
  std::deque<std::unique_ptr<relay::Pending>> waiting;
  connection::Waiter arrived;
  bool stopped = false;
};

PeerChannels::PeerChannels(std::shared_ptr<connection::SessionDriver> driver, std::string name)
    : state_(std::make_shared<State>(std::move(driver))), name_(std::move(name)) {}

PeerChannels::~PeerChannels() { stop(); }

bool PeerChannels::take(const ssh::ChannelRequested& channel) {
  std::optional<relay::Endpoint> destination;
  if (channel.type == "direct-tcpip") {
    // A port of 0 or above 65535 is refused like one that nobody listens on.
    const bool is_port = channel.port <= 65535;
    destination =
        relay::HostPort{channel.host, is_port ? static_cast<std::uint16_t>(channel.port) : std::uint16_t{0}};
  } else if (channel.type == "direct-streamlocal@openssh.com") {
    destination = relay::UnixPath{channel.host};
  } else {
    return false;
  }
  auto pending =
      std::make_unique<connection::PendingChannel>(state_->driver, channel, std::move(destination));
  if (state_->stopped) {
    pending->refuse(relay::Refusal::closed);
    return true;
  }
  state_->waiting.push_back(std::move(pending));
  state_->arrived.post(state_->driver->executor());
  return true;
}

relay::Task<Result<std::unique_ptr<relay::Pending>>> PeerChannels::next() {
  const auto state = state_;
  while (state->waiting.empty()) {
    if (state->stopped || !co_await state->arrived.wait()) co_return cancelled();
  }
  auto pending = std::move(state->waiting.front());
  state->waiting.pop_front();
  co_return pending;
}

std::function<void()> PeerChannels::abandoner() const {
  return [state = state_] {
    state->waiting.clear();
    state->arrived.abandon();
  };
}

void PeerChannels::stop() {
  if (std::exchange(state_->stopped, true)) return;
  state_->waiting.clear();
  state_->arrived.post(state_->driver->executor());
}

}  // namespace culvert::server

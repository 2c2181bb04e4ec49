// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/remote_listeners.hpp"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/wire.hpp"
#include "engine/connection/pending_channel.hpp"
#include "engine/connection/session_driver.hpp"
#include "engine/connection/waiter.hpp"

namespace culvert::tunnel {
namespace {

using relay::Endpoint;
using relay::HostPort;
using relay::UnixPath;

// The server gives no reason. What it may be, of a port and of a path.
struct Guess {
  std::string_view of_port, of_path;
};
constexpr Guess kSeeItsSettings = {
    "the port may be in use there, or below 1024; in its sshd_config see AllowTcpForwarding, PermitListen, "
    "GatewayPorts, DisableForwarding",
    "a file of that name may be there, which StreamLocalBindUnlink in its sshd_config removes, or nothing "
    "may be made in its folder; see AllowStreamLocalForwarding and DisableForwarding, too"};
constexpr Guess kSeeItsRules = {
    "the port may be in use there, or no rule allows it: see listen in its rules, or permitlisten of the "
    "key; its log says why, and names the rule that would",
    "a file of that name may be there, nothing may be made in its folder, or no rule allows it: see listen "
    "in its rules; its log says why, and names the rule that would"};

// One place where the server listens, or was asked to.
struct Place {
  std::uint64_t token = 0;
  Endpoint where;  // as it was asked for; the port that the server chose once it has
  /// unnamed: it listens, but at a port that it does not tell.
  enum class State : std::uint8_t { asking, up, refused, unnamed, over } state = State::asking;
  bool wanted = true;  // somebody holds it; else it is given back as soon as it is granted
  std::deque<ssh::ChannelRequested> waiting;
  connection::Waiter answered;  // listen()
  connection::Waiter arrived;   // next()
};

Bytes request_data(const Endpoint& where) {
  Bytes data;
  Writer writer(data);
  if (const auto* place = std::get_if<HostPort>(&where)) {
    writer.text(place->host).u32(place->port);
  } else {
    writer.text(std::get<UnixPath>(where).path);
  }
  return data;
}

relay::DialError refusal_of(const Place& place, bool has_rules) {
  const std::string name = relay::to_string(place.where);
  if (place.state == Place::State::unnamed) {
    return {relay::Refusal::unsupported,
            fmt::format("the server agrees to listen on {}, but its answer names no port", name)};
  }
  const Guess& guess = has_rules ? kSeeItsRules : kSeeItsSettings;
  const bool is_path = std::holds_alternative<UnixPath>(place.where);
  return {relay::Refusal::prohibited, fmt::format("the server refuses to listen on {} ({})", name,
                                                  is_path ? guess.of_path : guess.of_port)};
}

std::string_view request_name(const Endpoint& where, bool cancels) {
  const bool is_tcp = std::holds_alternative<HostPort>(where);
  if (cancels) return is_tcp ? "cancel-tcpip-forward" : "cancel-streamlocal-forward@openssh.com";
  return is_tcp ? "tcpip-forward" : "streamlocal-forward@openssh.com";
}

}  // namespace

struct RemoteListeners::State {
  explicit State(std::shared_ptr<connection::SessionDriver> over) : driver(std::move(over)) {}

  void forget(const std::shared_ptr<Place>& place) { std::erase(places, place); }

  // The server stops listening; what waits is refused.
  void give_back(const std::shared_ptr<Place>& place) {
    place->wanted = false;
    if (place->state == Place::State::asking) return;  // answer() does it
    forget(place);
    if (place->state != Place::State::up || driver->is_over()) return;
    place->state = Place::State::over;
    driver->session().send_global_request(request_name(place->where, true), request_data(place->where), false,
                                          0);
    driver->after_command();
    for (const auto& channel : std::exchange(place->waiting, {}))
      connection::PendingChannel(driver, channel, std::nullopt).refuse(relay::Refusal::closed);
  }

  const std::shared_ptr<connection::SessionDriver> driver;
  std::vector<std::shared_ptr<Place>> places;
  std::uint64_t next_token = 1;
};

namespace {

class RemoteSource final : public relay::BoundSource {
 public:
  RemoteSource(std::shared_ptr<RemoteListeners::State> owner, std::shared_ptr<Place> place)
      : owner_(std::move(owner)), place_(std::move(place)), name_(relay::to_string(place_->where)) {}
  ~RemoteSource() override { stop(); }

  [[nodiscard]] relay::Task<Result<std::unique_ptr<relay::Pending>>> next() override {
    const auto owner = owner_;
    const auto place = place_;
    while (place->waiting.empty()) {
      if (!place->wanted) co_return cancelled();
      if (place->state != Place::State::up) co_return fail(Errc::closed, "the connection ended");
      if (!co_await place->arrived.wait()) co_return cancelled();
    }
    const auto channel = std::move(place->waiting.front());
    place->waiting.pop_front();
    co_return std::make_unique<connection::PendingChannel>(owner->driver, channel, std::nullopt);
  }
  void stop() override {
    if (!place_->wanted) return;
    owner_->give_back(place_);
    place_->arrived.post(owner_->driver->executor());
  }
  [[nodiscard]] std::string name() const override { return name_; }
  [[nodiscard]] const Endpoint& bound() const override { return place_->where; }

 private:
  const std::shared_ptr<RemoteListeners::State> owner_;
  const std::shared_ptr<Place> place_;
  const std::string name_;
};

}  // namespace

RemoteListeners::RemoteListeners(std::shared_ptr<connection::SessionDriver> driver)
    : state_(std::make_shared<State>(std::move(driver))) {}

RemoteListeners::~RemoteListeners() { end(); }

relay::Task<relay::Bound> RemoteListeners::listen(Endpoint where) {
  return [](std::shared_ptr<State> state, Endpoint at) -> relay::Task<relay::Bound> {
    const auto failed = [](relay::Refusal reason, std::string message) {
      return std::unexpected(relay::DialError{reason, std::move(message)});
    };
    if (state->driver->is_over()) co_return failed(relay::Refusal::closed, "not connected");
    const auto place = std::make_shared<Place>();
    place->token = state->next_token++;
    place->where = std::move(at);
    if (!state->driver->session().send_global_request(request_name(place->where, false),
                                                      request_data(place->where), true, place->token))
      co_return failed(relay::Refusal::overloaded, "the server has not answered earlier requests to listen");
    state->places.push_back(place);
    state->driver->after_command();
    const bool waited = place->state != Place::State::asking || co_await place->answered.wait();
    if (!waited) {
      state->give_back(place);
      co_return failed(relay::Refusal::closed, "cancelled");
    }
    if (place->state == Place::State::up) co_return std::make_unique<RemoteSource>(state, place);
    if (place->state == Place::State::refused || place->state == Place::State::unnamed) {
      const bool has_rules = !state->driver->is_over() && state->driver->session().peer_is_culvert();
      co_return std::unexpected(refusal_of(*place, has_rules));
    }
    co_return failed(relay::Refusal::closed, "the connection ended");
  }(state_, std::move(where));
}

void RemoteListeners::answer(const ssh::GlobalReply& reply) {
  const auto found = std::ranges::find(state_->places, reply.token, &Place::token);
  if (found == state_->places.end()) return;
  const auto place = *found;  // NOLINT(performance-unnecessary-copy-initialization): forget() drops that one
  auto* tcp = std::get_if<HostPort>(&place->where);
  place->state = reply.success ? Place::State::up : Place::State::refused;
  if (reply.success && tcp != nullptr && tcp->port == 0) {
    Reader reader(reply.data);
    const auto port = reader.u32();
    if (port && *port > 0 && *port <= 65535) {
      tcp->port = static_cast<std::uint16_t>(*port);
    } else {
      place->state = Place::State::unnamed;
    }
  }
  if (place->state != Place::State::up) {
    state_->forget(place);
  } else if (!place->wanted) {
    state_->give_back(place);
  }
  place->answered.post(state_->driver->executor());
}

// Servers say the address as it was asked for, or the one that it stands for. The port is what tells them
// apart then.
bool RemoteListeners::take(const ssh::ChannelRequested& channel) {
  const auto fits = [&](const std::shared_ptr<Place>& place, bool by_port) {
    if (place->state != Place::State::up) return false;
    if (const auto* path = std::get_if<UnixPath>(&place->where))
      return channel.type != "forwarded-tcpip" && path->path == channel.host;
    const auto& at = std::get<HostPort>(place->where);
    return channel.type == "forwarded-tcpip" && at.port == channel.port &&
           (by_port || at.host == channel.host);
  };
  auto found = std::ranges::find_if(state_->places, [&](const auto& place) { return fits(place, false); });
  if (found == state_->places.end())
    found = std::ranges::find_if(state_->places, [&](const auto& place) { return fits(place, true); });
  if (found == state_->places.end()) return false;
  (*found)->waiting.push_back(channel);
  (*found)->arrived.post(state_->driver->executor());
  return true;
}

void RemoteListeners::end() {
  for (const auto& place : std::exchange(state_->places, {})) {
    place->state = Place::State::over;
    place->waiting.clear();
    place->answered.post(state_->driver->executor());
    place->arrived.post(state_->driver->executor());
  }
}

void RemoteListeners::abandon() {
  for (const auto& place : std::exchange(state_->places, {})) {
    place->state = Place::State::over;
    place->answered.abandon();
    place->arrived.abandon();
  }
}

}  // namespace culvert::tunnel

// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/listener_source.hpp"

#include <deque>
#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>

#include "base/assert.hpp"
#include "engine/relay/socket_stream.hpp"
#include "net/as_tuple.hpp"
#include "net/cancelled.hpp"
#include "net/timer.hpp"

namespace culvert::relay {

namespace asio = boost::asio;

namespace {

/// Accepted and not yet asked for. More wait in the kernel.
constexpr std::size_t kWaiting = 64;

Endpoint endpoint_of(const std::optional<asio::ip::tcp::endpoint>& address) {
  if (address) return HostPort{address->address().to_string(), address->port()};
  return UnixPath{};
}

class PendingSocket final : public Pending {
 public:
  explicit PendingSocket(net::Accepted connection)
      : origin_(endpoint_of(connection.peer)), socket_(std::move(connection.socket)) {}
  ~PendingSocket() override {
    if (socket_) refuse(Refusal::closed);
  }

  [[nodiscard]] const std::optional<Endpoint>& destination() const override { return destination_; }
  [[nodiscard]] const Endpoint& origin() const override { return origin_; }
  [[nodiscard]] std::optional<Endpoint> connected_to() const override {
    CULVERT_ASSERT(socket_.has_value());
    const int socket = socket_->native_handle();
    if (std::holds_alternative<UnixPath>(origin_)) return UnixPath{net::local_path(socket)};
    return endpoint_of(net::local_endpoint(socket));
  }
  [[nodiscard]] std::unique_ptr<Stream> accept() override {
    CULVERT_ASSERT(socket_.has_value());
    auto stream = std::make_unique<SocketStream>(std::move(*socket_));
    socket_.reset();
    return stream;
  }
  void refuse(Refusal) override {
    CULVERT_ASSERT(socket_.has_value());
    SocketStream(std::move(*socket_)).abort();
    socket_.reset();
  }

 private:
  const std::optional<Endpoint> destination_;
  const Endpoint origin_;
  std::optional<net::StreamSocket> socket_;
};

}  // namespace

struct ListenerSource::State {
  explicit State(std::vector<net::Listener> made) : listeners(std::move(made)) {}

  /// Sleeps until `event`, a timer that never expires, is cancelled: all sleepers on it wake.
  static Task<void> sleep(std::optional<net::Timer>& event) {
    if (!event) event.emplace(co_await asio::this_coro::executor);
    (void)co_await event->async_wait(net::kTuple);
  }
  static void wake(std::optional<net::Timer>& event) {
    if (event) event->cancel();
  }

  std::vector<net::Listener> listeners;
  std::deque<net::Accepted> waiting;
  std::optional<Error> error;
  std::optional<net::Timer> arrived;  ///< next() sleeps on it
  std::optional<net::Timer> room;     ///< accept_all() sleeps on it (all of them)
  bool started = false;
};

ListenerSource::ListenerSource(std::vector<net::Listener> listeners)
    : state_(std::make_shared<State>(std::move(listeners))) {
  CULVERT_ASSERT(!state_->listeners.empty());
}

ListenerSource::~ListenerSource() { stop(); }

Task<Result<std::unique_ptr<Pending>>> ListenerSource::next() {
  const auto state = state_;
  if (state->listeners.size() == 1) {  // nobody to wait for besides
    if (state->error) co_return std::unexpected(*state->error);
    auto connection = co_await state->listeners.front().accept();
    if (!connection) co_return std::unexpected(std::move(connection).error());
    co_return std::make_unique<PendingSocket>(std::move(*connection));
  }
  if (!std::exchange(state->started, true)) {
    const auto executor = co_await asio::this_coro::executor;
    for (net::Listener& listener : state->listeners) {
      // They end when their listener is closed, which stop() does at the latest when the source is destroyed.
      asio::co_spawn(executor, accept_all(state, listener), asio::detached);
    }
  }
  while (state->waiting.empty()) {
    if (state->error) co_return std::unexpected(*state->error);
    co_await State::sleep(state->arrived);
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
  }
  auto pending = std::make_unique<PendingSocket>(std::move(state->waiting.front()));
  state->waiting.pop_front();
  State::wake(state->room);
  co_return pending;
}

Task<void> ListenerSource::accept_all(std::shared_ptr<State> state, net::Listener& listener) {
  for (;;) {
    while (state->waiting.size() >= kWaiting && !state->error) co_await State::sleep(state->room);
    auto connection = co_await listener.accept();
    if (!connection) {
      if (!state->error) state->error = std::move(connection).error();
      break;
    }
    if (state->error) break;
    state->waiting.push_back(std::move(*connection));
    State::wake(state->arrived);
  }
  State::wake(state->arrived);
  State::wake(state->room);
}

void ListenerSource::stop() {
  if (!state_->error || state_->error->code != Errc::cancelled) state_->error = cancelled().error();
  for (net::Listener& listener : state_->listeners) listener.close();
  for (auto& connection : std::exchange(state_->waiting, {}))
    SocketStream(std::move(connection.socket)).abort();
  State::wake(state_->arrived);
  State::wake(state_->room);
}

std::string ListenerSource::name() const { return state_->listeners.front().name(); }

std::vector<std::string> ListenerSource::names() const {
  std::vector<std::string> names;
  for (const net::Listener& listener : state_->listeners) names.push_back(listener.name());
  return names;
}

std::uint16_t ListenerSource::port() const { return state_->listeners.front().port(); }

}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/client_watch.hpp"

#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "net/as_tuple.hpp"
#include "net/timer.hpp"

namespace culvert::relay {

namespace asio = boost::asio;

struct ClientWatch::State {
  Left left;                         ///< empty once nobody wants to know
  asio::cancellation_signal enough;  ///< ends the watch
  std::optional<net::Timer> over;    ///< end() sleeps on it
  bool is_watching = false;
};

ClientWatch::ClientWatch(asio::any_io_executor executor, Negotiation& client, Left left)
    : executor_(std::move(executor)), state_(std::make_shared<State>()) {
  state_->left = std::move(left);
  asio::post(executor_, [state = state_, executor = executor_, &client] {
    if (state->left) begin(executor, client, state);
  });
}

ClientWatch::~ClientWatch() { state_->left = nullptr; }

void ClientWatch::begin(const asio::any_io_executor& executor, Negotiation& client,
                        const std::shared_ptr<State>& state) {
  state->is_watching = true;
  asio::co_spawn(
      executor, client.gone(),
      asio::bind_cancellation_slot(state->enough.slot(), [state](const std::exception_ptr& exception) {
        state->is_watching = false;
        if (state->over) state->over->cancel();
        if (const auto tell = std::exchange(state->left, nullptr))
          tell(exception ? "watching the client failed" : "the client left");
      }));
}

Task<void> ClientWatch::end() {
  state_->left = nullptr;
  if (!state_->is_watching) co_return;
  // co_spawn of Boost 1.81 wants a cancellation to happen on the executor, and none once it is over.
  asio::dispatch(executor_, [state = state_] {
    if (state->is_watching) state->enough.emit(asio::cancellation_type::terminal);
  });
  while (state_->is_watching) {
    state_->over.emplace(executor_);
    (void)co_await state_->over->async_wait(net::kTuple);
  }
}

}  // namespace culvert::relay

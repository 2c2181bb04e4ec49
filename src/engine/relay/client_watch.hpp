// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "engine/relay/source.hpp"

namespace culvert::relay {

/// Watches over a client that waits for an answer, beside whatever is done for it. Begins when that has to
/// wait: what is there at once needs no watch.
class ClientWatch {
 public:
  /// Called once with the reason if the client leaves; on the executor, not from the constructor.
  using Left = std::function<void(std::string why)>;

  /// `client` must last until end() returns.
  ClientWatch(boost::asio::any_io_executor executor, Negotiation& client, Left left);
  ~ClientWatch();
  ClientWatch(const ClientWatch&) = delete;
  ClientWatch& operator=(const ClientWatch&) = delete;

  /// Until then the client's stream has a reader. Must be waited for, after a cancellation too (by a
  /// coroutine that does not throw then).
  [[nodiscard]] Task<void> end();

 private:
  struct State;
  static void begin(const boost::asio::any_io_executor& executor, Negotiation& client,
                    const std::shared_ptr<State>& state);

  const boost::asio::any_io_executor executor_;
  const std::shared_ptr<State> state_;
};

}  // namespace culvert::relay

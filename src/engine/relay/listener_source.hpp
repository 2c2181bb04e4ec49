// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/relay/source.hpp"
#include "net/listener.hpp"

namespace culvert::relay {

/// Streams from one or more listening sockets (127.0.0.1 and ::1 for "localhost"). A connection is accepted
/// by the kernel before we see it, so refuse() can only end it: by a reset, so that it cannot be taken for an
/// answer without content.
class ListenerSource final : public Source {
 public:
  /// At least one listener, all of one executor.
  explicit ListenerSource(std::vector<net::Listener> listeners);
  ~ListenerSource() override;  ///< stops

  [[nodiscard]] Task<Result<std::unique_ptr<Pending>>> next() override;
  void stop() override;
  /// Of the first listener.
  [[nodiscard]] std::string name() const override;
  /// Of all of them.
  [[nodiscard]] std::vector<std::string> names() const;

  /// Of the first listener: what port 0 became.
  [[nodiscard]] std::uint16_t port() const;

 private:
  struct State;
  static Task<void> accept_all(std::shared_ptr<State> state, net::Listener& listener);
  std::shared_ptr<State> state_;
};

}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "engine/relay/endpoint.hpp"
#include "engine/relay/source.hpp"
#include "engine/relay/stream.hpp"

namespace culvert::relay {

/// A failed dial: the reason for whoever asked, and a line for the operator ("open failed: connect failed:
/// Connection refused"), in which text from a peer is printable already.
struct DialError {
  Refusal reason;
  std::string message;
};

/// How a destination is reached.
class Dialer {
 public:
  virtual ~Dialer() = default;
  /// Connects to `destination` on behalf of `origin`. Each call stands alone: a silent destination delays no
  /// other. Obeys Asio cancellation (terminal), with Refusal::closed: a forward that ends gives up the dials
  /// that still wait.
  [[nodiscard]] virtual Task<std::expected<std::unique_ptr<Stream>, DialError>> dial(
      const Endpoint& destination, const Endpoint& origin) = 0;
};

}  // namespace culvert::relay

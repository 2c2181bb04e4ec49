// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert::ssh {

/// What the mux needs of the layer below it.
class PacketLink {
 public:
  virtual ~PacketLink() = default;
  /// Whether messages leave now (not during our part of a key exchange).
  [[nodiscard]] virtual bool may_send() const = 0;
  /// A whole payload; may wait for the end of a key exchange. Errc::limit if too much waits.
  [[nodiscard]] virtual Result<void> send(ByteView payload) = 0;
  /// `head` and `body` as one payload, sealed from where they are. Only while may_send().
  virtual void send_data(ByteView head, ByteView body) = 0;
  /// Bytes that wait for the network.
  [[nodiscard]] virtual std::size_t pending_output() const = 0;
};

}  // namespace culvert::ssh

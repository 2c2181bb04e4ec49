// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "proto/ssh/mux/window.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::ssh {

/// One channel (RFC 4254 section 5). States move only in mux.cpp:
///
///     requested --accept--> open            (the peer asked)
///     opening --CONFIRMATION--> open        (we asked)
///     open --our CLOSE and the peer's CLOSE, in any order--> gone
///
/// The peer's is answered when all that it sent was taken. Until then it takes its share of every limit, and
/// the peer knows that not all has arrived.
struct Channel {
  enum class State : std::uint8_t { opening, requested, open };

  Channel(ChannelId own, State initial, std::uint32_t window)
      : id(own), state(initial), receive(window), tuner(window) {}

  /// One side has closed it, and the other has not answered.
  [[nodiscard]] bool is_closing() const { return close_sent || close_received; }

  ChannelId id;
  State state;
  bool eof_sent = false, eof_received = false;
  bool close_sent = false, close_received = false;
  bool close_when_open = false;   ///< close() came before the peer's confirmation
  bool is_session = false;        ///< of type "session": its requests are given out
  std::uint8_t replies_owed = 0;  ///< to requests on it
  bool wants_to_send = false;     ///< a send() took less than was offered
  bool in_turn_queue = false;
  std::uint32_t peer_id = 0;
  std::uint32_t peer_max_packet = 0;
  ReceiveWindow receive;
  SendWindow send{0};
  WindowTuner tuner;
};

}  // namespace culvert::ssh

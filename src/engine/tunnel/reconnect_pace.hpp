// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/time.hpp"

namespace culvert::tunnel {

/// When to ask again for a place that a server holds, by how long it has refused it on this connection: each
/// second at first, in which it finds out that the session which had it is dead; then further apart, up to
/// half a minute.
[[nodiscard]] Duration ask_again_in(Duration refused_for);

/// When to try again after a connection was lost. Less than a second apart at first, so that a server that
/// restarts is back at once; then further apart, by how long it has been away, up to ten seconds. A
/// connection that does not last is no success: the pace goes on where it was. Knows no clock.
class ReconnectPace {
 public:
  /// The connection has come up (again).
  void connected(Instant now);
  /// It was lost.
  void lost(Instant now);
  /// When the next attempt begins, at `now` or later: counted from the beginning of the last one. `random`:
  /// any number; clients that lost the same server do not come back in step.
  [[nodiscard]] Instant next(Instant now, std::uint32_t random);
  /// How long the attempt that begins at `now` may wait for the server to answer a connect.
  [[nodiscard]] Duration patience(Instant now) const;
  /// How long it may wait for the server's part of the first key exchange, the way there included: what takes
  /// long (a program that has to start, a slow path) must once be given enough.
  [[nodiscard]] Duration keys_patience(Instant now) const;

 private:
  [[nodiscard]] Duration interval(Instant now) const;

  Instant since_{};       // the beginning of the outage
  Instant up_at_{};       // of the last connection
  Instant last_begin_{};  // of the last attempt
  bool tried_ = false;    // in this outage
  bool was_up_ = false;
};

}  // namespace culvert::tunnel

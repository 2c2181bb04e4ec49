// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/log_fields.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "engine/relay/bucket.hpp"
#include "engine/relay/dialer.hpp"
#include "engine/relay/silence.hpp"
#include "engine/relay/source.hpp"
#include "engine/relay/stream_limit.hpp"
#include "engine/relay/target_group.hpp"

namespace culvert::relay {

struct ForwardCounters {
  std::uint64_t accepted = 0;   ///< streams that were joined to their destination or had datagrams carried
  std::uint64_t failed = 0;     ///< streams that were refused: no destination, a limit, a failed dial
  std::uint64_t timed_out = 0;  ///< of those that were accepted: ended because they were silent
  std::uint64_t dialing = 0;    ///< wait for their destination now
  std::uint64_t live = 0;       ///< are joined now, or have their datagrams carried
  std::uint64_t bytes_out = 0;  ///< towards destinations, of live ones, too
  std::uint64_t bytes_in = 0;   ///< back from them
};

struct ForwardOptions {
  /// Where streams go that name no destination of their own.
  std::optional<Endpoint> destination = {};
  /// Where several places are as good: all of them, as of Pending. A stream goes to the one that is chosen
  /// for it (BalancingDialer).
  std::shared_ptr<TargetGroup> targets = {};
  /// At most so many streams at once, those that still dial included. More are refused: Refusal::overloaded.
  /// Forwards whose limits are copies of one keep to it together.
  StreamLimit limit = 65536;
  /// Bytes a second, all streams and the datagrams of clients together, and with those of forwards that share
  /// them.
  Rates rates = {};
  /// When silent streams are ended, and those whose datagrams are: within a third more than what it says, and
  /// logged at `verbose`.
  SilenceLimits silence = {};
  /// How long a listener waits for the one who is to come (SOCKS BIND; two minutes in the text of SOCKS 4).
  Duration arrival_time = std::chrono::minutes(2);
  /// Whose forward this is, for lines of the log about its streams.
  LogContext context = {};
};

/// Joins the streams of a source to what a dialer makes of their destination. Each stream runs on its own, so
/// one that waits holds up no other. Owns all of them: nothing of a forward runs once drain() has returned.
/// All calls on one thread.
///
/// A stream is accepted only once its destination is reached; until then early data waits in the kernel or in
/// its window. A client that asks for a listener (Negotiation) gets one from the dialer's peer_listener(),
/// one that has datagrams carries them as far as its datagrams() say. What fails is logged at `notice`, as
/// the event "stream_refused": "127.0.0.1:15432 -> 10.0.0.5:5432: open failed: connect failed: Connection
/// refused"; of a flood 50 lines a second, which then say "(and 412 before it)".
class Forward {
 public:
  /// `dialer` must outlive it and its streams.
  Forward(std::unique_ptr<Source> source, Dialer& dialer, ForwardOptions options);
  ~Forward();  ///< as stop() and abort()
  Forward(const Forward&) = delete;
  Forward& operator=(const Forward&) = delete;

  /// Takes streams until stop() (success) or until the source fails (its error). Those that live then go on.
  /// Once.
  [[nodiscard]] Task<Result<void>> run();
  /// Takes no more. Live streams go on.
  void stop();
  /// After stop(): waits for the streams that there are, for at most `time`; aborts the rest, gives up their
  /// dials, and waits for the end of that. Returns how many were aborted.
  [[nodiscard]] Task<std::size_t> drain(Duration time);
  /// Aborts all streams at once; they are gone when drain() returns.
  void abort();

  [[nodiscard]] ForwardCounters counters() const;
  /// Of the source.
  [[nodiscard]] std::string name() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace culvert::relay

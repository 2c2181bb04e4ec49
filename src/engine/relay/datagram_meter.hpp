// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/complaint.hpp"
#include "base/log_fields.hpp"
#include "base/time.hpp"
#include "engine/relay/bucket.hpp"

namespace culvert::relay {

/// Keeps the datagrams of one forward to rates that it shares with others. What is too much is dropped, not
/// kept back, so that the sender learns of it by its losses; one datagram of more than a second's worth never
/// passes. What passes counts, even if the kernel then does not take it.
///
/// That datagrams are dropped is in the log at `notice`, as the event "datagrams_dropped", one line a minute
/// for each direction: "udp 127.0.0.1:5353 -> 10.0.0.5:53: datagrams dropped: more than 1000000 bytes a
/// second towards targets (and 17 before it)".
class DatagramMeter {
 public:
  enum class Way : std::uint8_t { out, in };  ///< towards destinations; back

  /// `whose`: what lines of the log begin with. `context`: their fields.
  DatagramMeter(Rates rates, std::string whose, LogContext context = {});

  /// The first datagrams of a run, as of net::UdpArrival, that may pass now, for all there are; none: all are
  /// dropped.
  [[nodiscard]] std::optional<ByteView> pass(Way way, ByteView run, std::size_t segment, Instant now) {
    Direction& direction = directions_[static_cast<std::size_t>(way)];
    if (direction.rate == nullptr) return run;
    return pass(direction, run, segment, now);
  }
  /// Datagrams, of both directions.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  struct Direction {
    std::shared_ptr<Rate> rate;
    const char* name;
    Turn turn = {};  // while streams wait for theirs
    Complaint complaint = {};
    std::uint64_t untold = 0;  // dropped since the last line
  };

  std::optional<ByteView> pass(Direction& direction, ByteView run, std::size_t segment, Instant now);
  [[nodiscard]] static std::size_t may_pass(Direction& direction, std::size_t wanted, std::size_t segment,
                                            Instant now);
  void drop(Direction& direction, std::size_t datagrams, Instant now);

  std::array<Direction, 2> directions_;
  const std::string whose_;
  const LogContext context_;
  std::uint64_t dropped_ = 0;
};

}  // namespace culvert::relay

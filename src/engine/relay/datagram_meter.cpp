// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/datagram_meter.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/log.hpp"

namespace culvert::relay {

DatagramMeter::DatagramMeter(Rates rates, std::string whose, LogContext context)
    : directions_{{{std::move(rates.out), "towards targets"}, {std::move(rates.in), "back"}}},
      whose_(std::move(whose)),
      context_(std::move(context)) {}

std::optional<ByteView> DatagramMeter::pass(Direction& direction, ByteView run, std::size_t segment,
                                            Instant now) {
  if (run.empty()) return run;  // a datagram, but no bytes
  const std::size_t may = may_pass(direction, run.size(), segment, now);
  if (may < run.size()) drop(direction, (run.size() - may + segment - 1) / segment, now);
  if (may == 0) return std::nullopt;
  return run.first(may);
}

// Beside streams that wait for a turn a datagram would always find the rate used up, or, if it did not have
// to wait, they would: what comes before its turn is dropped.
std::size_t DatagramMeter::may_pass(Direction& direction, std::size_t wanted, std::size_t segment,
                                    Instant now) {
  Turn& turn = direction.turn;
  if (now > turn.at + Bucket::kTurnLasts) direction.rate->give_back(std::exchange(turn.count, 0));
  if (turn.count == 0) {
    const std::size_t may = direction.rate->take(wanted, now, segment);
    if (may == 0 && direction.rate->has_turns(now)) turn = direction.rate->turn(wanted, now, segment);
    return may;
  }
  if (now < turn.at) return 0;
  std::size_t may = std::min(wanted, turn.count);
  if (may < wanted) may -= may % segment;
  direction.rate->give_back(std::exchange(turn.count, 0) - may);
  return may;
}

void DatagramMeter::drop(Direction& direction, std::size_t datagrams, Instant now) {
  dropped_ += datagrams;
  direction.untold += datagrams;
  if (!log_enabled(LogLevel::notice) || !direction.complaint.is_due(now)) return;
  const std::uint64_t before = std::exchange(direction.untold, 0) - datagrams;
  const std::string why =
      fmt::format("more than {} bytes a second {}", direction.rate->a_second(), direction.name);
  log_event(LogLevel::notice, "datagrams_dropped", "{}: datagrams dropped: {}{}", whose_,
            field("reason", why), before > 0 ? fmt::format(" (and {} before it)", before) : "", context_);
}

}  // namespace culvert::relay

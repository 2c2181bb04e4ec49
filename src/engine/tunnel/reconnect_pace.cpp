// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/reconnect_pace.hpp"

#include <algorithm>
#include <utility>

#include "proto/ssh/session.hpp"

namespace culvert::tunnel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kLasting = seconds(2);  // a connection that lived so long was one
constexpr Duration kQuick = seconds(15);   // of an outage
constexpr Duration kQuickInterval = milliseconds(600);
constexpr Duration kLongestInterval = seconds(8);  // and a fifth of jitter: below ten seconds
constexpr Duration kFirst = milliseconds(100);     // most, before the first attempt
constexpr Duration kShortestKeys = seconds(10);
constexpr Duration kLongestKeys = ssh::Timing().handshake;
constexpr Duration kAskEvery = seconds(1);
constexpr Duration kAskOften = seconds(60);
constexpr Duration kAskAtLeastEvery = seconds(30);

}  // namespace

Duration ask_again_in(Duration refused_for) {
  return refused_for < kAskOften ? kAskEvery : std::min<Duration>(refused_for / 10, kAskAtLeastEvery);
}

void ReconnectPace::connected(Instant now) {
  up_at_ = now;
  was_up_ = true;
}

void ReconnectPace::lost(Instant now) {
  const bool lasted = was_up_ && now - up_at_ >= kLasting;
  const bool first = since_ == Instant{};
  was_up_ = false;
  if (!lasted && !first) return;
  since_ = now;
  tried_ = false;
}

Duration ReconnectPace::interval(Instant now) const {
  const Duration away = now - since_;
  return away < kQuick ? kQuickInterval : std::min<Duration>(away / 10, kLongestInterval);
}

Instant ReconnectPace::next(Instant now, std::uint32_t random) {
  if (!std::exchange(tried_, true)) {
    last_begin_ = now + kFirst * (random % 1000) / 1000;
    return last_begin_;
  }
  const Duration around = interval(now);
  const Duration jittered = around * (800 + random % 400) / 1000;
  last_begin_ = std::max(now, last_begin_ + jittered);
  return last_begin_;
}

Duration ReconnectPace::patience(Instant now) const { return std::max<Duration>(seconds(1), interval(now)); }

Duration ReconnectPace::keys_patience(Instant now) const {
  return std::clamp(now - since_, kShortestKeys, kLongestKeys);
}

}  // namespace culvert::tunnel

// SPDX-License-Identifier: Apache-2.0
#include "engine/server/stream_meter.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.hpp"

namespace culvert::server {

namespace {

bool has_rate(const files::Limits& limits) {
  return limits.bytes_per_second_in || limits.bytes_per_second_out;
}

}  // namespace

StreamMeter::StreamMeter(Place place, StreamName name) : place_(std::move(place)), name_(std::move(name)) {
  const Side in{&Usage::in, &files::Limits::bytes_per_second_in};
  const Side out{&Usage::out, &files::Limits::bytes_per_second_out};
  const bool reads_client = name_.direction == Direction::forwarded;
  read_ = reads_client ? in : out;
  written_ = reads_client ? out : in;
}

StreamMeter::~StreamMeter() {
  const bool reads_client = name_.direction == Direction::forwarded;
  log_event(LogLevel::notice, "stream_ended",
            "{}: ended, {} bytes from the client, {} bytes to it, {:.1f} s{}{}", name_,
            field("bytes_from_client", (reads_client ? read_ : written_).passed),
            field("bytes_to_client", (reads_client ? written_ : read_).passed),
            field("duration", std::chrono::duration<double>(monotonic_now() - start_).count()),
            over_.empty() ? "" : ": ", optional_field("reason", over_));
}

Result<void> StreamMeter::check() {
  auto state = check_limits(place_.permit());
  if (!state) over_ = state.error().message;
  return state;
}

bool StreamMeter::is_limiting() const {
  return has_rate(place_.permit().grants.user_limits) || has_rate(place_.permit().grants.key_limits);
}

// Who has to wait for one of the two may have more of it than is wanted now: of the other as well, then.
relay::Turn StreamMeter::turn(Way way, std::size_t wanted, Instant now) {
  const Side& of = side(way);
  const files::Grants& grants = place_.permit().grants;
  relay::Bucket& users = *place_.permit().of_user.*of.bucket;
  relay::Bucket& keys = *place_.permit().of_key.*of.bucket;
  const auto users_rate = grants.user_limits.*of.rate, keys_rate = grants.key_limits.*of.rate;
  const relay::Turn of_user = users.turn(wanted, users_rate, now);
  if (of_user.count == 0) return of_user;
  const relay::Turn of_key = keys.turn(of_user.count, keys_rate, now);
  const std::size_t more = of_key.count - std::min(of_key.count, of_user.count);
  const std::size_t of_users = of_user.count + users.take(more, users_rate, now);
  const std::size_t both = std::min(of_users, of_key.count);
  users.give_back(of_users - both, users_rate);
  keys.give_back(of_key.count - both, keys_rate);
  return {both, std::max(of_user.at, of_key.at)};
}

void StreamMeter::give_back(Way way, std::size_t bytes) {
  const Side& of = side(way);
  (*place_.permit().of_user.*of.bucket).give_back(bytes, place_.permit().grants.user_limits.*of.rate);
  (*place_.permit().of_key.*of.bucket).give_back(bytes, place_.permit().grants.key_limits.*of.rate);
}

void StreamMeter::count(Way way, std::size_t bytes) {
  side(way).passed += bytes;
  place_.permit().of_user->bytes += bytes;
  place_.permit().of_key->bytes += bytes;
}

}  // namespace culvert::server

// SPDX-License-Identifier: Apache-2.0
#include "engine/server/stream_meter.hpp"

#include <chrono>
#include <utility>

#include "base/log.hpp"

namespace culvert::server {

namespace {

bool has_rate(const files::Limits& limits) {
  return limits.bytes_per_second_in || limits.bytes_per_second_out;
}

}  // namespace

StreamMeter::StreamMeter(std::shared_ptr<const Permit> permit, StreamName name)
    : permit_(std::move(permit)), name_(std::move(name)) {
  const Side in{&Usage::in, &files::Limits::bytes_per_second_in};
  const Side out{&Usage::out, &files::Limits::bytes_per_second_out};
  const bool reads_client = name_.direction == Direction::forwarded;
  read_ = reads_client ? in : out;
  written_ = reads_client ? out : in;
  ++permit_->of_user->streams;
  ++permit_->of_key->streams;
}

StreamMeter::~StreamMeter() {
  --permit_->of_user->streams;
  --permit_->of_key->streams;
  const bool reads_client = name_.direction == Direction::forwarded;
  log_event(LogLevel::notice, "stream_ended", "{}: ended, {} bytes from the client, {} bytes to it, {:.1f} s",
            name_, field("bytes_from_client", (reads_client ? read_ : written_).passed),
            field("bytes_to_client", (reads_client ? written_ : read_).passed),
            field("duration", std::chrono::duration<double>(monotonic_now() - start_).count()));
}

bool StreamMeter::is_limiting() const {
  return has_rate(permit_->grants.user_limits) || has_rate(permit_->grants.key_limits);
}

std::size_t StreamMeter::take(Way way, std::size_t wanted) {
  const Side& of = side(way);
  const Instant now = monotonic_now();
  const files::Grants& grants = permit_->grants;
  relay::Bucket& users = *permit_->of_user.*of.bucket;
  const auto users_rate = grants.user_limits.*of.rate;
  const std::size_t of_user = users.take(wanted, users_rate, now);
  const std::size_t both = (*permit_->of_key.*of.bucket).take(of_user, grants.key_limits.*of.rate, now);
  users.give_back(of_user - both, users_rate);
  return both;
}

void StreamMeter::give_back(Way way, std::size_t bytes) {
  const Side& of = side(way);
  (*permit_->of_user.*of.bucket).give_back(bytes, permit_->grants.user_limits.*of.rate);
  (*permit_->of_key.*of.bucket).give_back(bytes, permit_->grants.key_limits.*of.rate);
}

void StreamMeter::count(Way way, std::size_t bytes) {
  side(way).passed += bytes;
  permit_->of_user->bytes += bytes;
  permit_->of_key->bytes += bytes;
}

}  // namespace culvert::server

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "engine/relay/metered_stream.hpp"
#include "engine/server/names.hpp"
#include "engine/server/place.hpp"

namespace culvert::server {

/// Of one end of a stream that a client has carried: counts what passes, keeps to the rates of its user and
/// key, and ends the stream when a quota or a time is used up, or the key is revoked. Says in one line how it
/// ended, and which of these it was: the event "stream_ended".
class StreamMeter final : public relay::Meter {
 public:
  /// Of the end that is not the client's; of a forwarded stream, the client's.
  StreamMeter(Place place, StreamName name);
  ~StreamMeter() override;
  StreamMeter(const StreamMeter&) = delete;
  StreamMeter& operator=(const StreamMeter&) = delete;

  [[nodiscard]] Result<void> check() override;
  [[nodiscard]] bool is_limiting() const override;
  [[nodiscard]] relay::Turn turn(Way way, std::size_t wanted, Instant now) override;
  void give_back(Way way, std::size_t bytes) override;
  void count(Way way, std::size_t bytes) override;

 private:
  /// From the client, or to it.
  struct Side {
    relay::Bucket Usage::* bucket;
    std::optional<std::uint64_t> files::Limits::* rate;
    std::uint64_t passed = 0;
  };
  [[nodiscard]] Side& side(Way way) { return way == Way::read ? read_ : written_; }

  const Place place_;
  const StreamName name_;
  const Instant start_ = monotonic_now();
  Side read_, written_;
  std::string over_;  // why it may not go on
};

}  // namespace culvert::server

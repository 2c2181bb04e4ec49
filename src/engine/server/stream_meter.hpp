// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "engine/relay/metered_stream.hpp"
#include "engine/server/account.hpp"
#include "engine/server/names.hpp"

namespace culvert::server {

/// One of the streams that a user and a key may have at once. Taken before anything is opened for it: of many
/// that are opened in one moment no more are let through.
class StreamPlace {
 public:
  /// Errc::limit with the reason: all are taken, or the quota or the time is used up.
  [[nodiscard]] static Result<StreamPlace> take(std::shared_ptr<const Permit> permit);
  StreamPlace(StreamPlace&&) noexcept = default;
  StreamPlace& operator=(StreamPlace&&) = delete;
  ~StreamPlace();

  [[nodiscard]] const Permit& permit() const { return *permit_; }

 private:
  explicit StreamPlace(std::shared_ptr<const Permit> permit) : permit_(std::move(permit)) {}
  std::shared_ptr<const Permit> permit_;  // null: moved from
};

/// Of one end of a stream that a client has carried: counts what passes, keeps to the rates of its user and
/// key, and ends the stream when a quota or a time is used up. Says in one line how it ended: the event
/// "stream_ended".
class StreamMeter final : public relay::Meter {
 public:
  /// Of the end that is not the client's; of a forwarded stream, the client's.
  StreamMeter(StreamPlace place, StreamName name);
  ~StreamMeter() override;
  StreamMeter(const StreamMeter&) = delete;
  StreamMeter& operator=(const StreamMeter&) = delete;

  [[nodiscard]] Result<void> check() override { return check_limits(place_.permit()); }
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

  const StreamPlace place_;
  const StreamName name_;
  const Instant start_ = monotonic_now();
  Side read_, written_;
};

}  // namespace culvert::server

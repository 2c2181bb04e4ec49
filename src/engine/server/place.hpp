// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "base/result.hpp"
#include "engine/server/account.hpp"

namespace culvert::server {

/// One of the sessions, listeners or streams that a user and a key may have at once, of both. Taken before
/// anything is opened for it: of many that are opened in one moment, on whatever threads, no more are let
/// through. Errors of all three: Errc::limit with the reason, which may be that the time or a quota is over.
class Place {
 public:
  /// Of a permit that was admitted. `all`: the sessions of everybody, of which there may be `most`; the last
  /// tenth is for keys that have none yet, so that no key keeps the others out.
  [[nodiscard]] static Result<Place> of_session(std::shared_ptr<const Permit> permit, Count& all,
                                                std::size_t most);
  [[nodiscard]] static Result<Place> of_listener(std::shared_ptr<const Permit> permit);
  [[nodiscard]] static Result<Place> of_stream(std::shared_ptr<const Permit> permit);

  [[nodiscard]] const Permit& permit() const { return *permit_; }

 private:
  using Most = std::optional<std::uint32_t>;

  /// None: one of the two has no room.
  static std::optional<Place> take(std::shared_ptr<const Permit> permit, Count Usage::* of, Most of_user,
                                   Most of_key);
  explicit Place(std::shared_ptr<const Permit> permit) : permit_(std::move(permit)) {}

  std::shared_ptr<const Permit> permit_;  // holds what is counted
  Count::Taken of_user_, of_key_, of_all_;
};

}  // namespace culvert::server

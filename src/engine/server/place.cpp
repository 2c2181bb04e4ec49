// SPDX-License-Identifier: Apache-2.0
#include "engine/server/place.hpp"

namespace culvert::server {
namespace {

constexpr std::uint32_t kMostListeners = 256;  // of a user, where no rule says how many
constexpr std::size_t kPartForOthers = 10;     // one of so many

}  // namespace

std::optional<Place> Place::take(std::shared_ptr<const Permit> permit, Count Usage::* of, Most of_user,
                                 Most of_key) {
  Place place(std::move(permit));
  place.of_user_ = ((*place.permit_->of_user).*of).take(of_user);
  if (!place.of_user_) return std::nullopt;
  place.of_key_ = ((*place.permit_->of_key).*of).take(of_key);
  if (!place.of_key_) return std::nullopt;
  return place;
}

Result<Place> Place::of_session(std::shared_ptr<const Permit> permit, Count& all, std::size_t most) {
  auto of_all = all.take(most);
  if (!of_all) return fail(Errc::limit, "there are too many sessions (--max-sessions)");
  const std::size_t in_all = all.now();
  const files::Grants& grants = permit->grants;
  auto place = take(std::move(permit), &Usage::sessions, grants.user_limits.max_sessions,
                    grants.key_limits.max_sessions);
  if (!place) return fail(Errc::limit, "max_sessions is reached");
  if (place->permit_->of_key->sessions.now() > 1 && in_all > most - most / kPartForOthers)
    return fail(Errc::limit, "the last tenth of --max-sessions is for keys that have no session yet");
  place->of_all_ = std::move(of_all);
  return *std::move(place);
}

Result<Place> Place::of_listener(std::shared_ptr<const Permit> permit) {
  TRY(check_limits(*permit));
  // A file of keys that is for everybody lets one key in under any name.
  const files::Grants& grants = permit->grants;
  const std::uint32_t of_user = grants.user_limits.max_listeners.value_or(kMostListeners);
  const std::uint32_t of_key = grants.key_limits.max_listeners.value_or(of_user);
  auto place = take(std::move(permit), &Usage::listeners, of_user, of_key);
  if (!place) return fail(Errc::limit, "max_listeners is reached");
  return *std::move(place);
}

Result<Place> Place::of_stream(std::shared_ptr<const Permit> permit) {
  TRY(check_limits(*permit));
  const files::Grants& grants = permit->grants;
  auto place =
      take(std::move(permit), &Usage::streams, grants.user_limits.max_streams, grants.key_limits.max_streams);
  if (!place) return fail(Errc::limit, "max_streams is reached");
  return *std::move(place);
}

}  // namespace culvert::server

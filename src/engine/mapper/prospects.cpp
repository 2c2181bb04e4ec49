// SPDX-License-Identifier: Apache-2.0
#include "engine/mapper/prospects.hpp"

#include <algorithm>
#include <utility>

namespace culvert::mapper {
namespace {

// A first question that got lost is asked again after three seconds (RFC 6887 section 8.1.1).
constexpr Duration kPatience = std::chrono::seconds(4);

}  // namespace

Prospects::Prospects(std::size_t ports, Instant begin) : ports_(ports), patience_(begin + kPatience) {}

void Prospects::opened(std::size_t port) {
  ports_[port] = {State::open, ""};
  was_open_ = true;
}

void Prospects::refused(std::size_t port, std::string why) {
  Port& one = ports_[port];
  if (one.state != State::open) one.state = State::refused;
  one.refusal = last_refusal_ = std::move(why);
}

std::string Prospects::lost(std::size_t port, Instant now) {
  ports_[port].state = State::asked;
  patience_ = now + kPatience;
  const std::string& refusal = ports_[port].refusal;
  return refusal.empty() ? "nobody answered to its renewal" : refusal;
}

bool Prospects::all_ended() const {
  return std::ranges::all_of(ports_, [](const Port& port) { return port.state == State::ended; });
}

bool Prospects::none_is(State state) const {
  return std::ranges::find(ports_, state, &Port::state) == ports_.end();
}

std::optional<Error> Prospects::hopeless(Instant now) const {
  if (!none_is(State::open)) return std::nullopt;
  if (now < patience_ && !none_is(State::asked)) return std::nullopt;
  const bool is_refused = !none_is(State::refused);
  if (is_refused) return Error{Errc::denied, last_refusal_};
  return Error{Errc::timed_out, was_open_ ? "no answer any more" : "no answer"};
}

}  // namespace culvert::mapper

// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/admission_source.hpp"

#include <string_view>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include "net/cancelled.hpp"
#include "net/yield.hpp"

namespace culvert::relay {

namespace asio = boost::asio;

namespace {

/// Who floods us must not keep the thread.
constexpr int kRefusalsPerTurn = 64;

}  // namespace

AdmissionSource::AdmissionSource(std::unique_ptr<Source> inner, AdmissionOptions options)
    : inner_(std::move(inner)), options_(std::move(options)) {
  if (options_.streams)
    too_many_ = fmt::format("more than {} new streams a second", options_.streams->a_second());
}

Task<Result<std::unique_ptr<Pending>>> AdmissionSource::next() {
  for (net::Rounds rounds(kRefusalsPerTurn);;) {
    auto pending = co_await inner_->next();
    if (!pending || admit(**pending)) co_return pending;
    if (!rounds.make_a_turn()) continue;
    co_await net::yield();
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
  }
}

bool AdmissionSource::admit(Pending& pending) {
  const bool is_let_in = options_.lets_in_unix_sockets && std::holds_alternative<UnixPath>(pending.origin());
  if (!is_let_in && !options_.access.allows(pending.origin())) {
    refuse(pending, Refusal::prohibited, "not allowed from there");
    return false;
  }
  if (options_.streams && options_.streams->take(1, monotonic_now()) == 0) {
    refuse(pending, Refusal::overloaded, too_many_);
    return false;
  }
  return true;
}

void AdmissionSource::refuse(Pending& pending, Refusal reason, std::string_view why) {
  refusals_.add(LogLevel::notice, name(), pending.origin(), why, options_.context);
  pending.refuse(reason);
}

}  // namespace culvert::relay

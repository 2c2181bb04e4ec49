// SPDX-License-Identifier: Apache-2.0
#include "daemon/forward_set.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace culvert::daemon {

template <class Forward>
struct ForwardSet::ForwardPart final : Part {
  ForwardPart(const DirectForward& of_plan, std::unique_ptr<Forward> of)
      : mapping(of_plan), forward(std::move(of)) {}
  relay::Task<Result<void>> run() override { return forward->run(); }
  void stop() override { forward->stop(); }
  relay::Task<void> drain([[maybe_unused]] Duration time) override {
    if constexpr (requires { forward->drain(time); }) (void)co_await forward->drain(time);
    co_return;
  }
  [[nodiscard]] std::string name() const override { return forward->name(); }
  void count(TrafficOf& all) const override { all[&mapping] += relay::traffic_of(forward->counters()); }
  const DirectForward& mapping;
  std::unique_ptr<Forward> forward;
};

struct ForwardSet::CheckPart final : Part {
  explicit CheckPart(std::unique_ptr<relay::HealthChecks> of) : checks(std::move(of)) {}
  relay::Task<Result<void>> run() override {
    co_await checks->run();
    co_return Result<void>();
  }
  void stop() override { checks->stop(); }
  [[nodiscard]] std::string name() const override { return "health checks"; }
  std::unique_ptr<relay::HealthChecks> checks;
};

void ForwardSet::add(const DirectForward& mapping, std::unique_ptr<relay::Source> source,
                     relay::Dialer& dialer, relay::ForwardOptions options) {
  parts_.push_back(std::make_unique<ForwardPart<relay::Forward>>(
      mapping, std::make_unique<relay::Forward>(std::move(source), dialer, std::move(options))));
}

void ForwardSet::add(const DirectForward& mapping, std::unique_ptr<relay::DatagramForward> forward) {
  parts_.push_back(std::make_unique<ForwardPart<relay::DatagramForward>>(mapping, std::move(forward)));
}

void ForwardSet::add(std::unique_ptr<relay::HealthChecks> checks) {
  parts_.push_back(std::make_unique<CheckPart>(std::move(checks)));
}

relay::Task<Result<void>> ForwardSet::serve() {
  for (const auto& part : parts_) tasks_.spawn(run(*part));
  while (!result_ && !stop_within_) co_await changed_.wait();

  const Instant deadline = monotonic_now() + stop_within_.value_or(Duration::zero());
  for (const auto& part : parts_) part->stop();
  for (const auto& part : parts_)
    co_await part->drain(std::max(Duration::zero(), deadline - monotonic_now()));
  co_await tasks_.all_ended();
  co_return result_.value_or(Result<void>());
}

void ForwardSet::stop(Duration time) {
  if (!stop_within_) stop_within_ = time;
  changed_.wake();
}

TrafficOf ForwardSet::traffic() const {
  TrafficOf all;
  for (const auto& part : parts_) part->count(all);
  return all;
}

relay::Task<void> ForwardSet::run(Part& part) {
  const auto ended = co_await part.run();
  if (ended || ended.error().code == Errc::cancelled) co_return;
  over(fail(ended.error().code, fmt::format("{}: {}", part.name(), ended.error().message)));
}

void ForwardSet::over(Result<void> result) {
  if (!result_ && !stop_within_) result_ = std::move(result);  // what happens after stop() is its consequence
  changed_.wake();
}

}  // namespace culvert::daemon

// SPDX-License-Identifier: Apache-2.0
#include "daemon/kept_rules_run.hpp"

#include <string_view>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>

#include "net/as_tuple.hpp"

namespace culvert::daemon {

namespace asio = boost::asio;

KeptRulesRun::KeptRulesRun(const asio::any_io_executor& executor, const RuleKeeper& keeper)
    : keeper_(keeper), ears_(executor) {}

relay::Task<Result<void>> KeptRulesRun::start() {
  auto ears = keeper_.channel().share();
  if (!ears) co_return fail(Errc::system, "cannot reach the helper for rules: " + ears.error().message);
  boost::system::error_code error;
  ears_.assign(asio::local::stream_protocol(), ears->release(), error);
  ask(RuleKeeper::Ask::start);
  co_return co_await answer();
}

relay::Task<Result<void>> KeptRulesRun::serve() { return answer(); }

void KeptRulesRun::stop(Duration) { ask(RuleKeeper::Ask::stop); }

void KeptRulesRun::tell() { ask(RuleKeeper::Ask::traffic); }

// If the keeper is gone, answer() learns of it.
void KeptRulesRun::ask(RuleKeeper::Ask what) {
  const char word = static_cast<char>(what);
  keeper_.channel().say({&word, 1});
}

relay::Task<Result<void>> KeptRulesRun::answer() {
  const auto [error, length] = co_await asio::async_read_until(
      ears_, asio::dynamic_buffer(said_, RuleKeeper::kLongestLine), '\n', net::kTuple);
  if (error)
    co_return fail(
        Errc::closed,
        "the helper that keeps the rules has ended, and may have left them: the next start removes "
        "them, or 'culvert map --clean'");
  const std::string line = said_.substr(0, length - 1);
  said_.erase(0, length);
  constexpr std::string_view kFailed = "failed ";
  if (line.starts_with(kFailed)) co_return fail(Errc::system, line.substr(kFailed.size()));
  co_return Result<void>();
}

}  // namespace culvert::daemon

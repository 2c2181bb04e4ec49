// SPDX-License-Identifier: Apache-2.0
#include "daemon/kept_rules_run.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

namespace culvert::daemon {

namespace asio = boost::asio;

KeptRulesRun::KeptRulesRun(const asio::any_io_executor& executor, const RuleKeeper& keeper)
    : keeper_(keeper), executor_(executor) {}

relay::Task<Result<void>> KeptRulesRun::start() {
  auto ears = keeper_.channel().share();
  if (!ears) co_return fail(Errc::system, "cannot reach the helper for rules: " + ears.error().message);
  ears_ = CO_TRY(net::WatchedFd::watch(executor_, *std::move(ears)));
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
  std::size_t length = 0;
  while ((length = said_.find('\n')) == std::string::npos) {
    CO_TRY(co_await ears_.wait_readable());
    std::array<char, RuleKeeper::kLongestLine> more;
    const ssize_t count = ::read(ears_.get(), more.data(), more.size() - said_.size());
    if (count > 0) {
      said_.append(more.data(), static_cast<std::size_t>(count));
    } else if (count == 0 || errno != EINTR) {
      co_return fail(
          Errc::closed,
          "the helper that keeps the rules has ended, and may have left them: the next start removes "
          "them, or 'culvert map --clean'");
    }
  }
  const std::string line = said_.substr(0, length);
  said_.erase(0, length + 1);
  constexpr std::string_view kFailed = "failed ";
  if (line.starts_with(kFailed)) co_return fail(Errc::system, line.substr(kFailed.size()));
  co_return Result<void>();
}

}  // namespace culvert::daemon

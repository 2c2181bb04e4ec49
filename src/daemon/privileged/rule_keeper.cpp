// SPDX-License-Identifier: Apache-2.0
#include "daemon/privileged/rule_keeper.hpp"

#include <unistd.h>

#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/kernel_run.hpp"
#include "daemon/privileged/sandbox.hpp"
#include "net/resolver.hpp"
#include "net/run.hpp"
#include "net/watched_fd.hpp"

namespace culvert::daemon {

namespace asio = boost::asio;

namespace {

/// The keeper's own side. With it go the rules.
class Keeper {
 public:
  Keeper(const KernelPlan& plan, net::ControlSocket channel)
      : io_(1), channel_(std::move(channel)), run_(io_.get_executor(), plan, resolver_) {}

  /// `ears`: the channel, a second time.
  int work(net::UniqueFd ears) {
    auto watched = net::WatchedFd::watch(io_.get_executor(), std::move(ears));
    if (!watched) return 1;
    ears_ = *std::move(watched);
    asio::co_spawn(io_, listen(), [this](const std::exception_ptr& exception) {
      if (exception) failed(error_of(exception));
    });
    net::run(io_);
    return status_;
  }

 private:
  // Whoever is gone has asked for the end.
  relay::Task<void> listen() {
    for (;;) {
      char word = 0;
      const bool is_gone = !co_await ears_.wait_readable() || ::read(ears_.get(), &word, 1) != 1;
      if (is_gone) word = static_cast<char>(RuleKeeper::Ask::stop);
      switch (static_cast<RuleKeeper::Ask>(word)) {
        case RuleKeeper::Ask::start:
          asio::co_spawn(io_, keep(), [this](const std::exception_ptr& exception) {
            if (exception) failed(error_of(exception));
            io_.stop();
          });
          break;
        case RuleKeeper::Ask::traffic:
          run_.tell();
          break;
        case RuleKeeper::Ask::stop:
          if (!is_serving_) io_.stop();
          run_.stop(Duration::zero());
          if (is_gone) co_return;
          break;
      }
    }
  }

  relay::Task<void> keep() {
    const auto started = co_await run_.start();
    if (!started) co_return failed(started.error());
    is_serving_ = true;
    channel_.say("done\n");
    const auto ended = co_await run_.serve();
    if (!ended) co_return failed(ended.error());
    channel_.say("done\n");
    status_ = 0;
  }

  void failed(const Error& error) {
    channel_.say(fmt::format("failed {}\n", printable(error.message, RuleKeeper::kLongestLine / 2)));
    status_ = 1;
    io_.stop();
  }

  net::Resolver resolver_;  // outlives the coroutines that the io_context destroys
  asio::io_context io_;
  const net::ControlSocket channel_;
  net::WatchedFd ears_;
  KernelRun run_;
  bool is_serving_ = false;
  int status_ = 1;
};

Result<void> give_up_the_rest(const Plan& plan, const ProcessAccount* account) {
  if (account != nullptr) {
    TRY(become(*account, kNetAdmin));
  } else {
    TRY(keep_capabilities(kNetAdmin));
  }
  TRY(confine(Sandboxed::forwarder, plan.sandbox));  // who forwards says what it lacks
  return {};
}

int keep(const KernelPlan& kernel, net::ControlSocket channel) {
  auto ears = channel.share();
  if (!ears) return 1;
  Keeper keeper(kernel, std::move(channel));
  return keeper.work(*std::move(ears));
}

int be_keeper(const Plan& plan, const KernelPlan& kernel, net::ControlSocket channel,
              const ProcessAccount* account) {
  const auto rid = give_up_the_rest(plan, account);
  if (rid) return keep(kernel, std::move(channel));
  log_event(LogLevel::error, "failed", "the helper for rules: {}", rid.error().message);
  return 1;
}

}  // namespace

Result<std::unique_ptr<RuleKeeper>> RuleKeeper::start(const Plan& plan, const KernelPlan& kernel,
                                                      const ProcessAccount* account) {
  auto channel = net::ControlSocket::make_pair();
  if (!channel) return fail(Errc::system, "cannot start the helper for rules: " + channel.error().message);
  auto process = TRY(HelperProcess::start("culvert-rules", [&] {
    {
      const auto others = std::move(channel->first);
    }
    return be_keeper(plan, kernel, std::move(channel->second), account);
  }));
  return std::unique_ptr<RuleKeeper>(new RuleKeeper(std::move(channel->first), std::move(process)));
}

RuleKeeper::~RuleKeeper() {
  channel_.close();  // which ends the keeper
}

}  // namespace culvert::daemon

// SPDX-License-Identifier: Apache-2.0
#include "daemon/supervisor.hpp"

#include <signal.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include "base/code_pages.hpp"
#include "base/log.hpp"
#include "crypto/random.hpp"
#include "daemon/bound_ports.hpp"
#include "daemon/direct_run.hpp"
#include "daemon/gateway_run.hpp"
#include "daemon/kept_rules_run.hpp"
#include "daemon/kernel_run.hpp"
#include "daemon/open_record.hpp"
#include "daemon/privileged/separation.hpp"
#include "daemon/run.hpp"
#include "daemon/server_run.hpp"
#include "daemon/service_manager.hpp"
#include "daemon/session_run.hpp"
#include "daemon/signals.hpp"
#include "engine/relay/signal.hpp"
#include "engine/tunnel/prompter.hpp"
#include "net/resolver.hpp"
#include "net/run.hpp"

namespace culvert::daemon {

namespace asio = boost::asio;

namespace {

using DirectRuns = std::vector<std::unique_ptr<DirectRun>>;
/// Of each server of a plan; null: it has none.
using QuotaBooks = std::vector<std::unique_ptr<server::QuotaBook>>;

constexpr Duration kDrainTime = std::chrono::seconds(2);

// "me@bastion", and how many more.
std::string servers_of(const Plan& plan) {
  if (plan.sessions.empty()) return "nobody else";
  const tunnel::ServerOptions& first = plan.sessions.front().server;
  std::string text = fmt::format("{}@{}", first.user, first.host);
  if (plan.sessions.size() > 1) text += fmt::format(" and {} more", plan.sessions.size() - 1);
  return text;
}

std::size_t forwards_of(const Plan& plan) {
  std::size_t count = 0;
  for (const SessionPlan& session : plan.sessions) {
    count += session.local_forwards.size() + session.remote_forwards.size() +
             session.dynamic_forwards.size() + (session.stdio ? 1 : 0);
  }
  return count;
}

class Supervisor {
 public:
  /// `direct`: the runs of plan.direct, which have their ports: these are in `bound`. `quotas`: of
  /// plan.servers. `open_records`: with a plan.gateway.
  Supervisor(asio::io_context& io, const Plan& plan, tunnel::Prompter& prompter, ServiceManager& manager,
             const Hooks& hooks, const Helpers& helpers, DirectRuns direct, QuotaBooks quotas,
             std::optional<OpenRecords>& open_records, BoundPorts& bound, net::Resolver& resolver,
             crypto::Random& random)
      : io_(io),
        plan_(plan),
        prompter_(prompter),
        manager_(manager),
        hooks_(hooks),
        helpers_(helpers),
        direct_(std::move(direct)),
        quotas_(std::move(quotas)),
        open_records_(open_records),
        bound_(bound),
        resolver_(resolver),
        random_(random),
        signals_(io.get_executor(), hooks.last_words) {}

  Outcome run() {
    manager_.status(plan_.sessions.empty() ? "starting" : "logging in as " + servers_of(plan_));
    spawn(watch_signals());
    if (const auto interval = manager_.watchdog_interval()) spawn(show_life(*interval));
    for (const SessionPlan& session : plan_.sessions) {
      runs_.push_back(std::make_unique<SessionRun>(io_.get_executor(), session, resolver_, random_, prompter_,
                                                   manager_, bound_));
    }
    for (std::size_t i = 0; i < plan_.kernel.size(); ++i) {
      if (const auto& keeper = helpers_.rules[i]) {
        runs_.push_back(std::make_unique<KeptRulesRun>(io_.get_executor(), *keeper));
      } else {
        runs_.push_back(std::make_unique<KernelRun>(io_.get_executor(), plan_.kernel[i], resolver_));
      }
    }
    for (auto& direct : direct_) runs_.push_back(std::move(direct));
    for (std::size_t i = 0; i < plan_.servers.size(); ++i) {
      runs_.push_back(std::make_unique<ServerRun>(io_.get_executor(), plan_.servers[i], *helpers_.servers[i],
                                                  std::move(quotas_[i]), resolver_, random_, bound_));
    }
    if (plan_.gateway) {
      auto gateways = std::make_unique<GatewayRun>(io_.get_executor(), *plan_.gateway, bound_, *open_records_,
                                                   runs_.size(), random_);
      gateways_ = gateways.get();
      runs_.push_back(std::move(gateways));
    }
    live_ = runs_.size();
    for (const auto& one : runs_) spawn(work(*one));
    net::run(io_);
    return outcome_;
  }

 private:
  relay::Task<void> watch_signals() {
    int number = co_await signals_.next();
    while (number == SIGUSR1) {
      for (Run* one : serving_) one->tell();
      number = co_await signals_.next();
    }
    if (number == 0) co_return;
    log_event(LogLevel::verbose, "stopped", "stopped by signal {}", field("signal", number));
    outcome_.end = Outcome::End::stopped;
    outcome_.signal = number;
    stopping_ = true;
    manager_.stopping(fmt::format("signal {}: live streams may end by themselves", number));
    if (!outcome_.was_ready) co_return give_up();
    for (Run* one : serving_) one->stop(kDrainTime);
  }

  // A loop that hangs shows none, on whatever thread it is.
  relay::Task<void> show_life(Duration interval) {
    relay::Signal pause(io_.get_executor());
    while (true) {
      const auto served = serving_;
      for (Run* one : served) co_await one->answers();
      manager_.alive();
      co_await pause.wait(interval);
    }
  }

  relay::Task<void> work(Run& one) {
    const auto started = co_await one.start();
    if (!started && &one == gateways_) gateways_ = nullptr;
    if (!started) co_return failed(started.error());
    if (gateways_ != nullptr && &one != gateways_) gateways_->started();
    serving_.push_back(&one);
    if (serving_.size() == runs_.size() && !gives_up_) ready();
    if (stopping_) one.stop(kDrainTime);
    const auto ended = co_await one.serve();
    std::erase(serving_, &one);
    if (&one == gateways_) gateways_ = nullptr;
    if (!ended) co_return failed(ended.error());
    --live_;
    // Ports are not kept open for what has ended.
    if (live_ == 1 && is_serving(gateways_)) gateways_->stop(kDrainTime);
    if (live_ > 0 && !gives_up_) co_return;
    if (!stopping_ && !gives_up_) outcome_.end = Outcome::End::finished;
    io_.stop();
  }

  [[nodiscard]] bool is_serving(const Run* one) const {
    return std::ranges::find(serving_, one) != serving_.end();
  }

  void ready() {
    const bool speaks =
        std::ranges::any_of(plan_.sessions, [](const SessionPlan& plan) { return !plan.stdio; }) ||
        !plan_.servers.empty() || !plan_.direct.empty() || plan_.gateway ||
        std::ranges::any_of(plan_.kernel,
                            [](const KernelPlan& plan) { return plan.action == KernelPlan::Action::keep; });
    if (speaks) log_event(LogLevel::notice, "ready", "ready");
    outcome_.was_ready = true;
    const std::size_t forwards = forwards_of(plan_);
    manager_.ready(plan_.sessions.empty() ? std::string("serving")
                                          : fmt::format("{} forward{} through {}", forwards,
                                                        forwards == 1 ? "" : "s", servers_of(plan_)));
    if (hooks_.on_ready) hooks_.on_ready();
    asio::post(io_, [] { unmap_code(); });  // behind what begins only now
  }

  void failed(const Error& error) {
    if (!stopping_) {
      log_event(LogLevel::error, "failed", "{}", error.message);
      manager_.status(error.message);
      outcome_.end = Outcome::End::failed;
    }
    give_up();
  }

  // What has no streams to drain ends where it is, its coroutines with the io_context. But routers would keep
  // ports open for hours: they are told.
  void give_up() {
    if (gateways_ == nullptr || !gateways_->has_asked()) return io_.stop();
    gives_up_ = true;
    gateways_->stop(kDrainTime);
  }

  void spawn(relay::Task<void> task) {
    asio::co_spawn(io_, std::move(task), [this](const std::exception_ptr& exception) {
      if (exception) failed(error_of(exception));
    });
  }

  asio::io_context& io_;
  const Plan& plan_;
  tunnel::Prompter& prompter_;
  ServiceManager& manager_;
  const Hooks& hooks_;
  const Helpers& helpers_;
  DirectRuns direct_;  // until run()
  QuotaBooks quotas_;
  std::optional<OpenRecords>& open_records_;
  BoundPorts& bound_;
  net::Resolver& resolver_;
  crypto::Random& random_;
  Signals signals_;
  Outcome outcome_;
  std::vector<std::unique_ptr<Run>> runs_;
  GatewayRun* gateways_ = nullptr;  // among them, until it is over
  std::vector<Run*> serving_;       // those that have started
  std::size_t live_ = 0;
  bool stopping_ = false;
  bool gives_up_ = false;  // ends when the routers know
};

// By itself, on this thread: the names of listeners are looked up on others, which end with it.
Result<void> open_ports(asio::io_context& io, DirectRuns& runs) {
  net::Resolver names;
  for (const auto& one : runs) {
    Result<void> opened = cancelled();
    asio::co_spawn(io, one->open(names), [&](const std::exception_ptr& exception, Result<void> result) {
      opened = exception ? std::unexpected(error_of(exception)) : std::move(result);
    });
    net::run(io);
    io.restart();
    if (!opened) return opened;
  }
  return {};
}

}  // namespace

Outcome run(const Plan& plan, tunnel::Prompter& prompter, ServiceManager& manager, const Hooks& hooks) {
  // Coroutines that wait when the loop stops are destroyed with the io_context: what they use lives longer.
  net::Resolver resolver;
  crypto::SystemRandom random;
  asio::io_context io(1);
  BoundPorts bound;
  DirectRuns direct;
  QuotaBooks quotas;
  std::optional<OpenRecords> open_records;
  const auto helpers = separate_privileges(plan, [&]() -> Result<void> {
    for (const DirectPlan& one : plan.direct)
      direct.push_back(std::make_unique<DirectRun>(io.get_executor(), one, resolver, bound));
    for (const ServerPlan& server : plan.servers) {
      const std::string& file = server.options.quota_file;
      quotas.push_back(file.empty() ? nullptr : TRY(server::QuotaBook::open(file)));
    }
    if (plan.gateway) open_records.emplace(OpenRecords::take(open_records_folder()));
    return open_ports(io, direct);
  });
  if (!helpers) {
    log_event(LogLevel::error, "failed", "{}", helpers.error().message);
    manager.status(helpers.error().message);
    return {};
  }
  return Supervisor(io, plan, prompter, manager, hooks, *helpers, std::move(direct), std::move(quotas),
                    open_records, bound, resolver, random)
      .run();
}

}  // namespace culvert::daemon

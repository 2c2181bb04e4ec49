// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "crypto/random.hpp"
#include "daemon/bound_ports.hpp"
#include "daemon/life.hpp"
#include "daemon/plan.hpp"
#include "daemon/run.hpp"
#include "engine/server/quota_book.hpp"
#include "engine/server/server.hpp"
#include "net/listener.hpp"
#include "net/resolver.hpp"
#include "net/watched_fd.hpp"
#include "net/worker_threads.hpp"

namespace culvert::daemon {

/// One ServerPlan at work: keys, accounts, listeners, the server on them, and the threads that carry its
/// sessions. The caller's thread is the first of those.
class ServerRun final : public Run {
 public:
  /// All of them must outlive it, but for `quotas`, which may be null. Its listeners are put into `bound`
  /// when it has started.
  ServerRun(boost::asio::any_io_executor executor, const ServerPlan& plan, server::Privileges& privileges,
            std::unique_ptr<server::QuotaBook> quotas, net::Resolver& resolver, crypto::Random& random,
            BoundPorts& bound)
      : executor_(std::move(executor)),
        workers_(plan.threads),
        plan_(plan),
        privileges_(privileges),
        quotas_(std::move(quotas)),
        resolver_(resolver),
        random_(random),
        bound_(bound) {}

  ~ServerRun() override { workers_.stop(); }

  [[nodiscard]] relay::Task<Result<void>> start() override;
  [[nodiscard]] relay::Task<Result<void>> serve() override;
  void stop(Duration time) override { server_->stop(time); }
  void tell() override { server_->tell(); }
  [[nodiscard]] relay::Task<void> answers() override { return all_answer(workers_); }

 private:
  /// Stops the server when the privileges are gone.
  [[nodiscard]] relay::Task<void> watch_privileges();

  const boost::asio::any_io_executor executor_;
  net::WorkerThreads workers_;  // sessions end with their contexts, behind all that could still post to them
  const ServerPlan& plan_;
  server::Privileges& privileges_;
  const std::unique_ptr<server::QuotaBook> quotas_;
  net::Resolver& resolver_;
  crypto::Random& random_;
  BoundPorts& bound_;
  std::unique_ptr<server::HostKeys> host_keys_;
  std::unique_ptr<server::Accounts> accounts_;
  std::unique_ptr<server::Server> server_;
  std::vector<net::Listener> listeners_;
  net::WatchedFd privileged_end_;
  bool lost_privileges_ = false;
};

}  // namespace culvert::daemon

// SPDX-License-Identifier: Apache-2.0
#include "daemon/server_run.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <fmt/format.h>

#include "base/log.hpp"
#include "daemon/open_listeners.hpp"
#include "net/addresses.hpp"
#include "net/unique_fd.hpp"

namespace culvert::daemon {

namespace asio = boost::asio;

relay::Task<Result<void>> ServerRun::start() {
  const server::ServerOptions& options = plan_.options;
  if (auto known = net::learn_own_addresses(); !known) {
    co_return fail(Errc::system,
                   fmt::format("cannot read the addresses of this machine, which no rule but an address "
                               "opens: {}",
                               known.error().message));
  }
  host_keys_ = CO_TRY(server::HostKeys::load(privileges_, options.host_certificate_files));
  accounts_ = CO_TRY(server::Accounts::load(options, privileges_, quotas_.get()));
  for (const ListenSpec& spec : plan_.listen) {
    auto opened = co_await open_listeners(
        spec, resolver_, [this](const auto& endpoint) { return privileges_.bind(endpoint); });
    if (!opened) co_return std::unexpected(std::move(opened).error());
    for (net::Listener& listener : *opened) listeners_.push_back(std::move(listener));
  }
  for (const crypto::PublicKey& key : host_keys_->keys())
    log_event(LogLevel::notice, "host_key", "host key {} {}", field("key_type", key.type()),
              field("fingerprint", key.fingerprint()));
  for (const std::string& warning : accounts_->warnings()) log(LogLevel::warning, "{}", warning);
  if (options.allow_all) {
    log(LogLevel::warning,
        "--allow-all: whoever logs in may connect anywhere from here, to this machine too, and listen at any "
        "port");
  }
  for (const net::Listener& listener : listeners_) {
    log_event(LogLevel::notice, "server_up", "server {} up", field("listener", listener.name()));
    if (const auto at = listener.endpoint())
      bound_.add(net::ip_address_of(at->address()), gateway::Protocol::tcp, at->port());
  }
  if (privileges_.end() >= 0) {
    net::UniqueFd end(::fcntl(privileges_.end(), F_DUPFD_CLOEXEC, 0));
    if (!end) co_return fail_errno("cannot watch the privileged helper", errno);
    privileged_end_ = CO_TRY(net::WatchedFd::watch(executor_, std::move(end)));
  }
  server_ = std::make_unique<server::Server>(workers_.executors(executor_), options, privileges_, *host_keys_,
                                             *accounts_, resolver_, random_);
  co_return Result<void>();
}

relay::Task<Result<void>> ServerRun::serve() {
  if (privileged_end_.is_open()) asio::co_spawn(executor_, watch_privileges(), asio::detached);
  workers_.start();
  auto ended = co_await server_->run(std::move(listeners_));
  privileged_end_.close();
  if (lost_privileges_)
    co_return fail(Errc::closed, "the privileged helper has ended; nobody could log in any more");
  co_return ended;
}

relay::Task<void> ServerRun::watch_privileges() {
  if (!co_await privileged_end_.wait_readable()) co_return;
  lost_privileges_ = true;
  server_->stop(Duration::zero());
}

}  // namespace culvert::daemon

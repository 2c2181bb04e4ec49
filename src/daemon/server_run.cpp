// SPDX-License-Identifier: Apache-2.0
#include "daemon/server_run.hpp"

#include <utility>

#include "base/log.hpp"
#include "daemon/open_listeners.hpp"

namespace culvert::daemon {

relay::Task<Result<void>> ServerRun::start() {
  const server::ServerOptions& options = plan_.options;
  host_keys_ = CO_TRY(
      server::HostKeys::load(options.host_key_files, options.host_certificate_files, options.made_host_key));
  accounts_ = CO_TRY(server::Accounts::load(options));
  for (const ListenSpec& spec : plan_.listen) {
    auto opened = co_await open_listeners(spec, resolver_);
    if (!opened) co_return std::unexpected(std::move(opened).error());
    for (net::Listener& listener : *opened) listeners_.push_back(std::move(listener));
  }
  for (const crypto::PublicKey& key : host_keys_->keys())
    log(LogLevel::notice, "host key {} {}", key.type(), key.fingerprint());
  for (const std::string& warning : accounts_->warnings()) log(LogLevel::warning, "{}", warning);
  if (options.allow_all) {
    log(LogLevel::warning,
        "--allow-all: whoever logs in may connect anywhere from here, to this machine too, and listen at any "
        "port");
  }
  for (const net::Listener& listener : listeners_) log(LogLevel::notice, "server {} up", listener.name());
  server_ = std::make_unique<server::Server>(executor_, options, *host_keys_, *accounts_, resolver_, random_);
  co_return Result<void>();
}

relay::Task<Result<void>> ServerRun::serve() { return server_->run(std::move(listeners_)); }

}  // namespace culvert::daemon

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.hpp"
#include "crypto/random.hpp"
#include "engine/relay/dialer.hpp"
#include "engine/tunnel/login_memory.hpp"
#include "engine/tunnel/prompter.hpp"
#include "engine/tunnel/server_options.hpp"
#include "net/resolver.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::tunnel {

/// One SSH connection to one server: the dialer whose streams are channels on it, and the server's side as a
/// place to listen at. All calls on the thread of `executor`. Streams that it made may outlive it: they fail
/// with Errc::closed then.
class Client final : public relay::Dialer, public relay::FarListener {
 public:
  /// `resolver`, `random` and `prompter` must outlive it. A Client that follows another one to the same
  /// server is given the same `memory`, then it is the same host that answers and no passphrase is asked for
  /// twice, and the same `instance`, by which the server knows it again.
  Client(boost::asio::any_io_executor executor, ServerOptions options, net::Resolver& resolver,
         crypto::Random& random, Prompter& prompter,
         std::shared_ptr<LoginMemory> memory = std::make_shared<LoginMemory>(),
         std::optional<ssh::InstanceId> instance = std::nullopt);
  ~Client() override;

  /// Resolves, connects, checks the host key, logs in. Once. The error's message is the line for the user,
  /// e.g. "cannot connect to bastion port 22: Connection refused", "user@bastion: Permission denied
  /// (publickey,password)".
  [[nodiscard]] relay::Task<Result<void>> connect();

  [[nodiscard]] relay::Task<relay::Dialed> dial(const relay::Endpoint& destination,
                                                const relay::Visit& visit) override;

  [[nodiscard]] relay::FarListener* far_listener() override { return this; }
  [[nodiscard]] relay::Task<relay::Bound> listen(const relay::Endpoint& where) override;

  /// Waits until the session is over, and says why: Errc::cancelled after disconnect().
  [[nodiscard]] relay::Task<Error> closed();

  /// No stream can be had any more, or yet.
  [[nodiscard]] bool is_over() const;
  /// The addresses of this machine have changed: a connection that lost its own ends now.
  void check_address();
  /// Waits until the server has taken all that streams that are over have written, for at most `time`.
  [[nodiscard]] relay::Task<void> streams_closed(Duration time);
  /// Says goodbye and ends; all streams end. closed() returns.
  void disconnect();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace culvert::tunnel

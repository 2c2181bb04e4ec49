// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/agent_client.hpp"

#include <memory>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include "base/log.hpp"
#include "net/as_tuple.hpp"
#include "net/connect.hpp"
#include "net/timer.hpp"
#include "proto/ssh/auth/agent_protocol.hpp"

namespace culvert::tunnel {

namespace asio = boost::asio;

relay::Task<Result<std::vector<ssh::AgentIdentity>>> AgentClient::list() {
  const auto answer = co_await ask_within_patience(SecretBytes(ssh::encode_agent_identities_request()));
  if (!answer) co_return std::unexpected(answer.error());
  auto identities = CO_TRY(ssh::decode_agent_identities(*answer));
  log(LogLevel::verbose, "the agent holds {} keys that can be used, {} others", identities.usable.size(),
      identities.skipped);
  co_return std::move(identities.usable);
}

relay::Task<Result<Bytes>> AgentClient::sign(ssh::AgentIdentity identity, std::string algorithm,
                                             Bytes message) {
  const auto request = CO_TRY(ssh::encode_agent_sign_request(identity, algorithm, message));
  const auto answer = co_await ask(SecretBytes(request));
  if (!answer) co_return std::unexpected(answer.error());
  co_return ssh::decode_agent_signature(*answer, algorithm);
}

relay::Task<Result<void>> AgentClient::bind(ssh::SessionBinding binding) {
  bind_request_.clear();
  auto request = ssh::encode_agent_session_bind(binding);
  const auto answer = co_await ask_within_patience(SecretBytes(request));
  bind_request_ = std::move(request);
  if (!answer) co_return std::unexpected(answer.error());
  co_return ssh::decode_agent_success(*answer);
}

relay::Task<Result<void>> AgentClient::add(crypto::PrivateKey key, std::string comment,
                                           ssh::AgentConstraints constraints) {
  const auto answer = co_await ask_within_patience(ssh::encode_agent_add_request(key, comment, constraints));
  if (!answer) co_return std::unexpected(answer.error());
  co_return ssh::decode_agent_success(*answer);
}

relay::Task<Result<Bytes>> AgentClient::ask_within_patience(SecretBytes request) {
  const auto executor = co_await asio::this_coro::executor;
  const auto give_up = std::make_shared<asio::cancellation_signal>();
  net::Timer deadline(executor, patience_);
  deadline.async_wait([give_up](const boost::system::error_code& error) {
    if (!error) give_up->emit(asio::cancellation_type::terminal);
  });
  auto [failure, answer] = co_await asio::co_spawn(
      executor, ask(std::move(request)), asio::bind_cancellation_slot(give_up->slot(), net::kTuple));
  if (failure || (!answer && answer.error().code == Errc::cancelled)) {
    socket_.reset();
    co_return fail(Errc::timed_out, "no answer");
  }
  co_return std::move(answer);
}

relay::Task<Result<Bytes>> AgentClient::ask(SecretBytes request) {
  if (!socket_) {
    auto socket = co_await net::connect_unix(path_);
    if (!socket) co_return std::unexpected(std::move(socket).error());
    socket_ = *std::move(socket);
    if (!bind_request_.empty()) {
      const auto bound = co_await exchange(bind_request_);
      if (!bound) co_return std::unexpected(bound.error());
    }
  }
  co_return co_await exchange(request);
}

// After a failure the connection is not used again: its answers could be those to an earlier question.
relay::Task<Result<Bytes>> AgentClient::exchange(ByteView request) {
  Result<void> done = co_await send(request);
  Bytes answer;
  while (done) {
    const auto missing = ssh::agent_message_missing(answer);
    if (missing && *missing == 0) co_return answer;
    if (!missing) {
      done = std::unexpected(missing.error());
      break;
    }
    const std::size_t received = answer.size();
    answer.resize(received + *missing);
    done = co_await receive(MutableBytes(answer).subspan(received));
  }
  socket_.reset();
  co_return std::unexpected(std::move(done).error());
}

relay::Task<Result<void>> AgentClient::send(ByteView bytes) {
  while (!bytes.empty()) {
    const auto sent = socket_->write(bytes);
    if (sent.failed()) co_return std::unexpected(net::io_error("", sent.error));
    bytes = bytes.subspan(sent.bytes);
    if (!sent.would_block()) continue;
    auto ready = co_await net::wait_writable(*socket_);
    if (!ready) co_return ready;
  }
  co_return Result<void>();
}

relay::Task<Result<void>> AgentClient::receive(MutableBytes into) {
  while (!into.empty()) {
    const auto got = socket_->read(into);
    if (got.failed()) co_return std::unexpected(net::io_error("", got.error));
    if (got.error == 0 && got.bytes == 0) co_return fail(Errc::closed, "it closed the connection");
    into = into.subspan(got.bytes);
    if (!got.would_block()) continue;
    auto ready = co_await net::wait_readable(*socket_);
    if (!ready) co_return ready;
  }
  co_return Result<void>();
}

}  // namespace culvert::tunnel

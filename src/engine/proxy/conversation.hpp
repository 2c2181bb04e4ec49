// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.hpp"
#include "base/time.hpp"
#include "engine/relay/source.hpp"
#include "engine/relay/stream.hpp"
#include "proto/socks/server.hpp"

namespace culvert::proxy {

/// One client of the front: its stream, and the machine that speaks with it. Copies nothing of what is behind
/// the request: the stream keeps it, and lends it first to whoever reads next.
class Conversation {
 public:
  Conversation(std::unique_ptr<relay::Stream> stream, std::shared_ptr<const socks::Accounts> accounts)
      : accounts_(std::move(accounts)), stream_(std::move(stream)), server_(accounts_.get()) {}

  /// Speaks until the request is there. An error: there is none, the stream is closed, and why is for the
  /// log.
  [[nodiscard]] relay::Task<Result<void>> hear();
  /// Sends what the machine has to say. In `time`, or the stream is aborted.
  [[nodiscard]] relay::Task<Result<void>> speak(Duration time);

  [[nodiscard]] relay::Stream& stream() { return *stream_; }
  [[nodiscard]] socks::Server& server() { return server_; }
  [[nodiscard]] std::unique_ptr<relay::Stream> take_stream() { return std::move(stream_); }

 private:
  [[nodiscard]] Result<void> write_some();

  const std::shared_ptr<const socks::Accounts> accounts_;
  std::unique_ptr<relay::Stream> stream_;
  socks::Server server_;
};

/// Sends what is left to be said, in `time`, and closes in order. On its own, but for the rare client that
/// does not take an answer at once.
void say_goodbye(const boost::asio::any_io_executor& executor, std::unique_ptr<Conversation> conversation,
                 Duration time);

}  // namespace culvert::proxy

// SPDX-License-Identifier: Apache-2.0
#include "engine/proxy/conversation.hpp"

#include <optional>
#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>

#include "engine/relay/stream_deadline.hpp"

namespace culvert::proxy {

namespace asio = boost::asio;

namespace {

relay::Task<void> send_rest(std::unique_ptr<Conversation> conversation, Duration time) {
  if (co_await conversation->speak(time)) conversation->stream().close();
}

}  // namespace

relay::Task<Result<void>> Conversation::hear() {
  while (server_.state() == socks::Server::State::reading) {
    auto lent = co_await stream_->read();
    if (!lent) co_return std::unexpected(std::move(lent).error());
    if (lent->empty()) {
      stream_->close();
      co_return fail(Errc::closed, "it ended without a request");
    }
    std::size_t size = 0;
    std::size_t taken = 0;
    for (const ByteView view : *lent) {
      size += view.size();
      taken += server_.feed(view);
    }
    stream_->consume(taken);
    if (taken < size) stream_->keep();
    // The front has a clock for this.
    while (!server_.output().empty()) {
      CO_TRY(write_some());
      if (server_.output().empty()) break;
      if (auto ready = co_await stream_->writable(); !ready) co_return ready;
    }
  }
  if (server_.state() == socks::Server::State::requested) co_return Result<void>();
  stream_->close();
  co_return fail(Errc::denied, std::string(server_.why()));
}

relay::Task<Result<void>> Conversation::speak(Duration time) {
  std::optional<relay::StreamDeadline> deadline;
  for (;;) {
    CO_TRY(write_some());
    if (server_.output().empty()) co_return Result<void>();
    if (!deadline) deadline.emplace(co_await asio::this_coro::executor, *stream_, time);
    if (auto ready = co_await stream_->writable(); !ready) co_return ready;
  }
}

Result<void> Conversation::write_some() {
  const ByteView output = server_.output();
  server_.consume_output(TRY(stream_->write({&output, 1})));
  return {};
}

void say_goodbye(const asio::any_io_executor& executor, std::unique_ptr<Conversation> conversation,
                 Duration time) {
  const ByteView output = conversation->server().output();
  const auto taken = conversation->stream().write({&output, 1});
  if (!taken) return conversation->stream().abort();
  conversation->server().consume_output(*taken);
  if (conversation->server().output().empty()) return conversation->stream().close();
  // Has no owner: it ends within `time`, and with its io_context.
  asio::co_spawn(executor, send_rest(std::move(conversation), time), asio::detached);
}

}  // namespace culvert::proxy

// SPDX-License-Identifier: Apache-2.0
#include "engine/server/session_channel.hpp"

#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "engine/connection/session_driver.hpp"

namespace culvert::server {

namespace asio = boost::asio;

namespace {

constexpr std::uint8_t kCtrlC = 3;
constexpr std::uint8_t kCtrlD = 4;

// A terminal in raw mode, as clients have it, wants both.
std::string with_carriage_returns(const std::string& text) {
  std::string out;
  for (const char letter : text) {
    if (letter == '\n') out += '\r';
    out += letter;
  }
  return out;
}

ssh::ChannelId accepted(connection::SessionDriver& driver, ssh::ChannelId id) {
  driver.session().accept_channel(id);
  return id;
}

}  // namespace

SessionChannel::SessionChannel(std::shared_ptr<connection::SessionDriver> driver, ssh::ChannelId id,
                               ClientName who, std::shared_ptr<relay::LinePace> lines,
                               std::function<std::string()> text)
    : driver_(std::move(driver)),
      id_(accepted(*driver_, id)),
      who_(std::move(who)),
      lines_(std::move(lines)),
      text_(std::move(text)),
      stream_(driver_, id_),
      changed_(driver_->executor()) {}

void SessionChannel::asked(const ssh::ChannelAsked& request) {
  bool granted = false;
  if (request.name == "pty-req") {
    granted = has_terminal_ = true;
  } else if (request.name == "shell") {
    granted = !std::exchange(shows_, true);
    changed_.wake();
  } else if (request.name == "env" || request.name == "window-change" || request.name == "signal") {
    granted = request.name != "env";
  } else if (const auto others = lines_->next(monotonic_now())) {
    log_event(LogLevel::notice, "request_refused", "{}: refused {}: {}{}", who_,
              field("request", printable(request.name, 100)), field("reason", "this server only forwards"),
              *others);
  }
  if (request.want_reply) driver_->session().reply_channel(id_, granted);
  driver_->after_command();
}

relay::Task<void> SessionChannel::run() {
  return [](std::shared_ptr<SessionChannel> self) -> relay::Task<void> {
    asio::co_spawn(
        self->driver_->executor(),
        [](std::shared_ptr<SessionChannel> shown) -> relay::Task<void> { co_await shown->show(); }(self),
        asio::detached);
    co_await self->read();
    self->over_ = true;
    self->changed_.wake();
    if (self->driver_->is_over()) co_return;
    self->driver_->session().send_exit_status(self->id_, 0);
    self->stream_.end();
    self->stream_.close();
    self->driver_->after_command();
  }(shared_from_this());
}

relay::Task<void> SessionChannel::show() {
  std::string last;
  while (!over_) {
    std::string text = shows_ ? text_() : std::string();
    if (text == last) {
      co_await changed_.wait();
      continue;
    }
    last = text;
    if (!co_await write(has_terminal_ ? with_carriage_returns(text) : std::move(text))) co_return;
  }
}

relay::Task<bool> SessionChannel::write(std::string text) {
  std::string_view rest = text;
  while (!rest.empty() && !over_) {
    const ByteView view = as_bytes(rest);
    const auto taken = stream_.write({&view, 1});
    if (!taken) co_return false;
    rest.remove_prefix(*taken);
    if (rest.empty()) break;
    if (!co_await stream_.writable()) co_return false;
  }
  co_return !over_;
}

relay::Task<void> SessionChannel::read() {
  for (;;) {
    const auto lent = co_await stream_.read();
    if (!lent) co_return;
    if (lent->empty()) co_return co_await stream_.closed();
    std::size_t size = 0;
    bool ends = false;
    for (const ByteView view : *lent) {
      size += view.size();
      for (const std::uint8_t byte : view) ends = ends || byte == kCtrlC || byte == kCtrlD;
    }
    stream_.consume(size);
    if (ends) co_return;
  }
}

}  // namespace culvert::server

// SPDX-License-Identifier: Apache-2.0
#include "engine/connection/channel_stream.hpp"

#include <utility>

#include "base/assert.hpp"
#include "engine/connection/session_driver.hpp"

namespace culvert::connection {

ChannelStream::ChannelStream(std::shared_ptr<SessionDriver> driver, ssh::ChannelId id)
    : driver_(std::move(driver)), id_(id) {
  driver_->attach(id, *this);
}

ChannelStream::ChannelStream(std::shared_ptr<SessionDriver> driver)
    : driver_(std::move(driver)), opening_(false) {}

std::unique_ptr<ChannelStream> ChannelStream::lost(std::shared_ptr<SessionDriver> driver) {
  return std::unique_ptr<ChannelStream>(new ChannelStream(std::move(driver)));
}

ChannelStream::~ChannelStream() {
  if (id_) driver_->detach(*id_);
  give_up_id();
}

void ChannelStream::give_up_id() {
  const auto known = id_ ? id_ : std::exchange(left_id_, std::nullopt);
  if (!known || driver_->is_over()) return;
  driver_->session().close(*known);
  driver_->after_command();
}

relay::Task<bool> ChannelStream::opened() {
  if (opening_ && id_) (void)co_await writer_.wait();
  co_return !opening_;
}

relay::Task<void> ChannelStream::closed() {
  if (id_) (void)co_await end_.wait();
}

relay::Task<Result<std::span<const ByteView>>> ChannelStream::read() {
  keep();
  bool resumed = true;
  for (;;) {
    if (closed_here_ || !resumed) co_return fail(Errc::cancelled, "the stream was closed");
    if (!lent_.empty()) co_return lent_;
    if (!kept_.empty()) {
      auto& views = driver_->borrowed_views();
      kept_.view(views, SessionDriver::kMostViews);
      co_return std::span<const ByteView>(views);
    }
    if (end_received_) co_return std::span<const ByteView>();
    if (!id_) co_return std::unexpected(gone());
    resumed = co_await reader_.wait();
  }
}

void ChannelStream::consume(std::size_t n) {
  if (closed_here_) return;
  if (lent_.empty()) {
    kept_.drop(n);
  } else {
    lent_taken_ += n;
  }
  const auto known = id_ ? id_ : left_id_;
  if (!known || n == 0 || driver_->is_over()) return;
  if (lent_.empty() && kept_.empty()) left_id_.reset();
  driver_->session().consumed(*known, n);
  driver_->after_command();
}

void ChannelStream::keep() {
  if (!lent_.empty()) driver_->kept_aside(kept_.append(lent_, lent_taken_));
  lent_ = {};
  lent_taken_ = 0;
}

Result<std::size_t> ChannelStream::write(std::span<const ByteView> bytes) {
  if (closed_here_ || end_sent_) return fail(Errc::closed, "the stream was closed");
  if (!id_) return std::unexpected(gone());
  std::size_t taken = 0;
  for (const ByteView view : bytes) {
    const std::size_t sent = driver_->session().send(*id_, view);
    taken += sent;
    if (sent == view.size()) continue;
    blocked_ = true;
    break;
  }
  driver_->after_command();
  return taken;
}

relay::Task<Result<void>> ChannelStream::writable() {
  bool resumed = true;
  for (;;) {
    if (closed_here_ || !resumed) co_return fail(Errc::cancelled, "the stream was closed");
    if (!id_) co_return std::unexpected(gone());
    if (!blocked_) co_return Result<void>();
    resumed = co_await writer_.wait();
  }
}

void ChannelStream::end() {
  if (!id_ || closed_here_ || std::exchange(end_sent_, true)) return;
  driver_->session().send_eof(*id_);
  driver_->after_command();
}

// A close behind an EOF is in order: what the peer sent is all there, it just takes no more.
Error ChannelStream::gone() const {
  return {end_received_ ? Errc::closed : Errc::reset, "the channel was closed by the other end"};
}

void ChannelStream::close() {
  // A close alone is how a reset is told.
  if (id_ && !closed_here_ && !std::exchange(end_sent_, true)) driver_->session().send_eof(*id_);
  close_here();
}

void ChannelStream::abort() { close_here(); }

void ChannelStream::close_here() {
  if (std::exchange(closed_here_, true)) return;
  lent_ = {};
  lent_taken_ = 0;
  kept_.clear();
  reader_.post(driver_->executor());
  writer_.post(driver_->executor());
  give_up_id();
}

void ChannelStream::on_opened() {
  opening_ = false;
  writer_.resume();
}

void ChannelStream::on_open_failed(OpenRefused refused) {
  id_.reset();
  refused_ = std::make_unique<OpenRefused>(std::move(refused));
  writer_.resume();
}

void ChannelStream::on_data(std::span<const ByteView> data) {
  if (closed_here_) return;
  lent_ = data;
  lent_taken_ = 0;
  if (reader_.waiting()) {
    reader_.resume();
  } else {
    keep();
  }
}

void ChannelStream::on_writable() {
  blocked_ = false;
  writer_.resume();
}

void ChannelStream::on_ended() {
  end_received_ = true;
  reader_.resume();
}

void ChannelStream::on_closed(bool is_cut) {
  if (!kept_.empty()) left_id_ = id_;
  id_.reset();
  if (!is_cut) end_received_ = true;
  // The first to go on may destroy this object, and with it the other: that one goes later, by itself.
  end_.post(driver_->executor());
  writer_.post(driver_->executor());
  if (close_listener_ != nullptr) close_listener_->peer_closed();
  reader_.resume();
}

void ChannelStream::set_close_listener(CloseListener* listener) {
  close_listener_ = listener;
  if (listener != nullptr && !id_) listener->peer_closed();
}

void ChannelStream::abandon() {
  id_.reset();
  left_id_.reset();
  reader_.abandon();
  writer_.abandon();
  end_.abandon();
}

}  // namespace culvert::connection

// SPDX-License-Identifier: Apache-2.0
// Streams in memory: two ends joined, with every bound settable, and a failure wherever a test wants one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <gtest/gtest.h>

#include "engine/relay/stream.hpp"
#include "net/cancelled.hpp"
#include "net/timer.hpp"

namespace culvert::testing {

/// The squeeze on one end.
struct MemoryStreamOptions {
  /// How much written and not yet read waits in front of this end's peer.
  std::size_t capacity = std::size_t{64} * 1024;
  /// The most that one read() lends, in views of at most `view_size`.
  std::size_t read_size = std::numeric_limits<std::size_t>::max();
  std::size_t view_size = std::numeric_limits<std::size_t>::max();
  /// The most that one write() takes.
  std::size_t write_size = std::numeric_limits<std::size_t>::max();
  /// Of the end that listens: it is told when the other one is closed, as the end of a channel.
  bool sees_close = false;
  /// writable() goes through the executor so many times before it looks.
  int delay = 0;
  /// The n-th read(), write() or writable() (from 1) fails so, and all later ones; with Errc::reset the peer
  /// is reset too.
  std::uint64_t fail_at = 0;
  Error failure{Errc::reset, "reset by the test"};
};

class MemoryStream final : public relay::Stream {
 public:
  /// Two joined ends. The first one's writes are what the second one reads.
  static std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>> make(
      const boost::asio::any_io_executor& executor, MemoryStreamOptions first = {},
      MemoryStreamOptions second = {}) {
    const auto there = std::make_shared<Direction>(executor);
    const auto back = std::make_shared<Direction>(executor);
    return {std::unique_ptr<MemoryStream>(new MemoryStream(executor, back, there, std::move(first))),
            std::unique_ptr<MemoryStream>(new MemoryStream(executor, there, back, std::move(second)))};
  }
  ~MemoryStream() override {
    if (!closed_ && !(out_->ended && in_->ended && in_->bytes.empty())) abort();
  }

  [[nodiscard]] relay::Task<Result<std::span<const ByteView>>> read() override {
    if (auto failed = count()) co_return std::unexpected(*failed);
    for (;;) {
      if (closed_) co_return fail(Errc::cancelled, "cancelled");
      if (lent_ > kept_)
        ADD_FAILURE() << "read() with " << lent_ - kept_ << " bytes neither consumed nor kept";
      if (kept_ == 0 && in_->reset) co_return fail(Errc::reset, "reset");
      if (!in_->bytes.empty()) break;
      if (in_->ended) co_return std::span<const ByteView>();
      if (co_await wait(in_->changed)) co_return fail(Errc::cancelled, "cancelled");
    }
    if (kept_ == 0) lent_ = std::min(options_.read_size, in_->bytes.size());
    // A copy in memory of its own each time: a reader that holds on to what was lent is caught by the address
    // sanitizer.
    copy_ = std::make_unique<std::string>(in_->bytes.begin(),
                                          in_->bytes.begin() + static_cast<std::ptrdiff_t>(lent_));
    views_.clear();
    for (std::size_t at = 0; at < lent_; at += options_.view_size) {
      views_.push_back(as_bytes(std::string_view(*copy_).substr(at, options_.view_size)));
      if (options_.view_size > lent_) break;
    }
    co_return std::span<const ByteView>(views_);
  }
  void consume(std::size_t n) override {
    ASSERT_LE(n, lent_);
    in_->bytes.erase(in_->bytes.begin(), in_->bytes.begin() + static_cast<std::ptrdiff_t>(n));
    lent_ -= n;
    kept_ = std::min(kept_, lent_);
    consumed_ += n;
    in_->changed.cancel();
  }
  void keep() override {
    kept_ = lent_;
    copy_.reset();
    views_.clear();
  }

  [[nodiscard]] Result<std::size_t> write(std::span<const ByteView> bytes) override {
    if (auto failed = count()) return std::unexpected(*failed);
    if (closed_ || out_->ended || out_->reader_gone) return fail(Errc::closed, "closed");
    if (out_->reset) return fail(Errc::reset, "reset");
    std::size_t taken = 0;
    for (const ByteView view : bytes) {
      const std::size_t room = options_.capacity - std::min(options_.capacity, out_->bytes.size());
      const std::size_t count = std::min({view.size(), room, options_.write_size - taken});
      out_->bytes.insert(out_->bytes.end(), view.begin(), view.begin() + static_cast<std::ptrdiff_t>(count));
      taken += count;
      out_->most = std::max(out_->most, out_->bytes.size());
    }
    if (taken > 0) out_->changed.cancel();
    return taken;
  }
  [[nodiscard]] relay::Task<Result<void>> writable() override {
    if (auto failed = count()) co_return std::unexpected(*failed);
    for (int i = 0; i < options_.delay; ++i)
      co_await boost::asio::post(executor_, boost::asio::use_awaitable);
    for (;;) {
      if (closed_) co_return fail(Errc::cancelled, "cancelled");
      if (out_->reset) co_return fail(Errc::reset, "reset");
      if (out_->ended || out_->reader_gone) co_return fail(Errc::closed, "closed");
      if (out_->bytes.size() < options_.capacity) co_return Result<void>();
      if (co_await wait(out_->changed)) co_return fail(Errc::cancelled, "cancelled");
    }
  }

  [[nodiscard]] std::size_t unsent() const override { return out_->bytes.size(); }

  void end() override {
    out_->ended = true;
    out_->changed.cancel();
  }
  void close() override {
    if (std::exchange(closed_, true)) return;
    end();
    in_->reader_gone = true;
    in_->changed.cancel();
    if (out_->listener != nullptr) out_->listener->peer_closed();
  }
  void set_close_listener(CloseListener* listener) override {
    if (!options_.sees_close) return;
    in_->listener = listener;
    if (listener != nullptr && out_->reader_gone) listener->peer_closed();
  }
  void abort() override {
    if (std::exchange(closed_, true)) return;
    aborted_ = true;
    reset_peer();
    in_->changed.cancel();
  }

  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] bool aborted() const { return aborted_; }
  [[nodiscard]] std::size_t consumed() const { return consumed_; }
  [[nodiscard]] std::uint64_t operations() const { return operations_; }
  /// The most that ever waited in what this end wrote.
  [[nodiscard]] std::size_t most_waiting() const { return out_->most; }

 private:
  struct Direction {
    explicit Direction(const boost::asio::any_io_executor& executor) : changed(executor) {}
    std::deque<std::uint8_t> bytes;
    std::size_t most = 0;
    bool ended = false;
    bool reset = false;
    bool reader_gone = false;
    CloseListener* listener = nullptr;  ///< of its reader
    net::Timer changed;                 ///< never expires; cancelled at each change
  };

  MemoryStream(boost::asio::any_io_executor executor, std::shared_ptr<Direction> in,
               std::shared_ptr<Direction> out, MemoryStreamOptions options)
      : executor_(std::move(executor)),
        in_(std::move(in)),
        out_(std::move(out)),
        options_(std::move(options)) {}

  /// Whether the coroutine was cancelled meanwhile.
  static relay::Task<bool> wait(net::Timer& changed) {
    (void)co_await changed.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    co_return net::is_cancelled(co_await boost::asio::this_coro::cancellation_state);
  }
  std::optional<Error> count() {
    ++operations_;
    if (options_.fail_at == 0 || operations_ < options_.fail_at) return std::nullopt;
    if (options_.failure.code == Errc::reset) reset_peer();
    return options_.failure;
  }
  void reset_peer() {
    out_->reset = true;
    in_->reset = true;
    out_->changed.cancel();
    in_->changed.cancel();
  }

  boost::asio::any_io_executor executor_;
  std::shared_ptr<Direction> in_;
  std::shared_ptr<Direction> out_;
  MemoryStreamOptions options_;
  std::unique_ptr<std::string> copy_;
  std::vector<ByteView> views_;
  std::size_t lent_ = 0;
  std::size_t kept_ = 0;
  std::size_t consumed_ = 0;
  std::uint64_t operations_ = 0;
  bool closed_ = false;
  bool aborted_ = false;
};

}  // namespace culvert::testing

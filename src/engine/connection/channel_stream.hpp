// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "engine/connection/kept_bytes.hpp"
#include "engine/connection/waiter.hpp"
#include "engine/relay/stream.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::connection {

class SessionDriver;

/// What the peer said when it refused to open a channel. `description` comes from it.
struct OpenRefused {
  ssh::OpenFailure reason;
  std::string description;
};

/// One channel as a stream. SSH knows no reset: abort() closes the channel at once without an EOF before, and
/// a channel that another culvert closed so fails with Errc::reset, behind the data that came before. To any
/// other peer that is an end. Extended data is thrown away. May outlive the session: then it fails too.
class ChannelStream final : public relay::Stream {
 public:
  /// Joins channel `id` of the driver's session, which was just asked for or accepted.
  ChannelStream(std::shared_ptr<SessionDriver> driver, ssh::ChannelId id);
  /// A stream whose session ended before the channel was accepted: it fails as one that lost its session.
  [[nodiscard]] static std::unique_ptr<ChannelStream> lost(std::shared_ptr<SessionDriver> driver);
  ~ChannelStream() override;
  ChannelStream(const ChannelStream&) = delete;
  ChannelStream& operator=(const ChannelStream&) = delete;

  /// Waits until the peer accepted the channel that was asked for; false if it did not, or the session ended.
  [[nodiscard]] relay::Task<bool> opened();
  /// Waits until the other end has closed the channel, or the session has ended. Also behind the end of what
  /// it sends.
  [[nodiscard]] relay::Task<void> closed();
  /// Why not, if the peer said so; null otherwise.
  [[nodiscard]] const OpenRefused* refusal() const { return refused_.get(); }

  [[nodiscard]] relay::Task<Result<std::span<const ByteView>>> read() override;
  [[nodiscard]] bool may_read_at_once() const override { return !kept_.empty() || end_received_ || !id_; }
  void consume(std::size_t n) override;
  void keep() override;
  [[nodiscard]] Result<std::size_t> write(std::span<const ByteView> bytes) override;
  [[nodiscard]] relay::Task<Result<void>> writable() override;
  void end() override;
  void close() override;
  void abort() override;
  void set_close_listener(CloseListener* listener) override;

  // What the driver tells it. Each may run a waiting coroutine, and that may destroy this object.
  void on_opened();
  void on_open_failed(OpenRefused refused);
  /// `data` lives until the next call of keep() from the driver, who makes it before the memory is reused.
  void on_data(std::span<const ByteView> data);
  void on_writable();
  void on_ended();
  /// Nothing comes any more, and nothing can be sent. `is_cut`: as of ssh::ChannelClosed.
  void on_closed(bool is_cut);
  /// The executor has stopped for good: lets no coroutine go on.
  void abandon();

 private:
  explicit ChannelStream(std::shared_ptr<SessionDriver> driver);
  [[nodiscard]] Error gone() const;
  void close_here();
  void give_up_id();

  std::shared_ptr<SessionDriver> driver_;
  std::optional<ssh::ChannelId> id_;       // while the peer wants to hear of it
  std::optional<ssh::ChannelId> left_id_;  // behind that, while something it sent is here
  bool opening_ = true;
  bool blocked_ = false;  // the last send took less than was offered
  bool end_sent_ = false;
  bool end_received_ = false;
  bool closed_here_ = false;

  std::span<const ByteView> lent_;  // in the session's buffer, during the driver's turn; empty: nothing
  std::size_t lent_taken_ = 0;      // bytes of it that were consumed
  KeptBytes kept_;
  std::unique_ptr<OpenRefused> refused_;
  CloseListener* close_listener_ = nullptr;
  Waiter reader_;
  Waiter writer_;  // also whoever waits for the channel to open
  Waiter end_;
};

}  // namespace culvert::connection

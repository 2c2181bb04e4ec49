// SPDX-License-Identifier: Apache-2.0
// What moves the pure SSH machine: bytes, time and commands in, events and bytes out. No protocol decision is
// made here.
//
//   carrier -> one read into the session's buffer -> decrypted in place -> events
//       data events up to the next event of another kind, by channel -> its waiting reader goes on at once,
//       on this stack -> one writev
//                                           -> nobody waits, or not all was taken: copied aside, at most one
//                                           window
//   ChannelStream::write() -> sealed into the session's output -> one write, at once (in a turn: at its end)
//       what the carrier does not take waits for writability; send() then takes less, and writable() waits
//
// A turn is: handle all events, send what waits, until neither moves. Reads, writability, deadlines and
// commands each cause one; turns do not nest.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/time.hpp"
#include "engine/connection/carrier.hpp"
#include "engine/relay/stream.hpp"
#include "net/timer.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::connection {

class ChannelStream;

/// Owns a carrier and the session over it. Lives until the session is over and all its streams are gone; all
/// calls on the thread of the carrier's executor. Once it is over, the session accepts calls and does
/// nothing.
class SessionDriver : public std::enable_shared_from_this<SessionDriver> {
 public:
  /// Gets every event but those of channels that have a stream. Runs inside a turn, may give commands and end
  /// the session.
  using EventHandler = std::function<void(ssh::Event)>;

  /// `random` is not used after stop().
  SessionDriver(std::unique_ptr<Carrier> carrier, ssh::SessionConfig config, crypto::Random& random);
  ~SessionDriver();
  SessionDriver(const SessionDriver&) = delete;
  SessionDriver& operator=(const SessionDriver&) = delete;

  /// Once, on an object that a shared_ptr owns.
  void start(EventHandler on_event);
  /// Says goodbye: the session's last event follows, soon. What was taken is still sent, for at most two
  /// seconds.
  void stop(std::string_view goodbye, ssh::Goodbye why = ssh::Goodbye::by_application);
  /// Ends it at once if its address is not this machine's any more: nothing could arrive.
  void check_address();
  [[nodiscard]] bool is_over() const { return over_.has_value(); }
  /// From the peer, since the start.
  [[nodiscard]] std::uint64_t bytes_read() const { return bytes_read_; }
  /// Waits until no more than `but` channels are left: the peer answers a close once all that came before it
  /// has arrived. Or until it is over; for at most `time`.
  [[nodiscard]] relay::Task<void> channels_closed(Duration time, std::size_t but = 0);
  /// Waits until it is over and the carrier is closed, and says why.
  [[nodiscard]] relay::Task<Error> over();

  /// For commands; each is followed by after_command(), which sends what it produced. Only while !is_over()
  /// or by a stream whose channel is known.
  [[nodiscard]] ssh::Session& session() { return *session_; }
  void after_command();
  [[nodiscard]] const boost::asio::any_io_executor& executor() const { return executor_; }

  // For ChannelStream.
  static constexpr std::size_t kMostViews = net::kMaxViews;  ///< what one system call can take
  void attach(ssh::ChannelId id, ChannelStream& stream);
  void detach(ssh::ChannelId id);
  /// An empty list that all streams share; valid until its borrower suspends.
  [[nodiscard]] std::vector<ByteView>& borrowed_views();
  /// `n` bytes had to be copied, since their destination did not take them.
  void kept_aside(std::size_t n) { kept_since_wait_ += n; }

 private:
  class UnwindGuard;

  [[nodiscard]] relay::Task<void> run();
  void acknowledge();
  [[nodiscard]] bool is_in_bulk() const;
  [[nodiscard]] bool is_ahead() const;
  [[nodiscard]] relay::Task<void> wait_for_input();
  [[nodiscard]] relay::Task<void> linger();
  void finish();

  void turn();
  void post_turn();
  [[nodiscard]] bool drain();
  void gather(const ssh::ChannelData& data);
  void deliver_gathered();
  void dispatch(ssh::Event event);
  [[nodiscard]] ChannelStream* stream(ssh::ChannelId id) const;

  [[nodiscard]] std::size_t read_once();
  void adapt_read_size(std::size_t got);
  bool write_output();
  void wait_for_writability();
  void on_writable();
  void follow_output_limit();
  void arm_timer();
  void meet_deadline();
  void end_input();

  boost::asio::any_io_executor executor_;
  std::unique_ptr<Carrier> carrier_;
  const std::size_t largest_read_;         // of a server less: its other sessions wait meanwhile
  std::unique_ptr<ssh::Session> session_;  // null once finish() ran
  EventHandler on_event_;
  std::vector<ChannelStream*> streams_;  // by channel id; null: no stream (any more)

  // Data of this turn, by channel, in the order of their first bytes: one write each.
  using Views = std::vector<ByteView>;
  struct Gathered {
    ssh::ChannelId id;
    Views views;
  };
  std::vector<Gathered> gathered_;
  std::size_t gathered_bytes_ = 0;
  std::vector<Views> spare_views_;  // empty, their memory kept
  std::vector<ByteView> borrowed_;

  std::optional<ssh::Event> stashed_;  // a command brought it up outside a turn
  bool in_turn_ = false;
  bool turn_posted_ = false;
  bool write_waiting_ = false;
  bool write_failed_ = false;
  bool input_ended_ = false;

  std::size_t read_size_ = 64 * 1024;
  unsigned small_reads_ = 0;
  std::size_t events_of_read_ = 0;   // other than data
  std::size_t read_since_wait_ = 0;  // bytes
  std::size_t kept_since_wait_ = 0;  // of them, by streams
  std::uint64_t bytes_read_ = 0;
  bool owes_acknowledgement_ = false;  // of a small read, that nothing sent has carried
  std::size_t low_water_ = 0;          // of the carrier, as it is set
  bool wakes_late_ = false;            // the carrier, in bulk

  net::Timer timer_;
  net::Timer pause_;           // instead of waiting for readability, in bulk
  Instant armed_ = kNever;     // when timer_ fires
  std::optional<Error> lost_;  // why the carrier is of no use any more
  std::optional<Error> over_;
  bool finished_ = false;
  net::Timer finished_signal_;
};

}  // namespace culvert::connection

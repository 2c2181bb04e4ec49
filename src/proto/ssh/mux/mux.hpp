// SPDX-License-Identifier: Apache-2.0
// The connection protocol (RFC 4254): channels in a slot table, one way in (on_message), one way out
// (shut_down).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "proto/ssh/mux/channel.hpp"
#include "proto/ssh/mux/global_requests.hpp"
#include "proto/ssh/mux/output_pacer.hpp"
#include "proto/ssh/mux/packet_link.hpp"
#include "proto/ssh/mux/window.hpp"
#include "proto/ssh/mux/window_budget.hpp"
#include "proto/ssh/session.hpp"
#include "proto/ssh/wire/messages.hpp"

namespace culvert::ssh {

class Mux {
 public:
  /// All three must outlive it.
  Mux(Role role, const Limits& limits, const Timing& timing, PacketLink& link);

  // ---- in
  /// A message 80 to 100. The event is none for what needs nobody's attention. An error is the peer's fault
  /// and final.
  [[nodiscard]] Result<std::optional<Event>> on_message(ByteView payload, Instant now);
  /// Events that did not come from a message: turns to send.
  [[nodiscard]] std::optional<Event> next_event();
  /// The events given out so far have been dealt with: the ids of channels that they ended may be used again.
  void reuse_ids();
  /// Something came from the peer: it lives.
  void heard(Instant now);
  /// Our key exchange is over, or output was taken: credit and turns may go on.
  void link_ready();
  void output_consumed(std::size_t n, Instant now) { pacer_.consumed(n, now); }
  /// Starts keepalives; `round_trip`: a first idea of it. `peer_is_culvert`: it closes a channel without an
  /// EOF before for a reset alone, and does not read ahead.
  void start(Instant now, Duration round_trip, bool peer_is_culvert);
  /// The session is over: the events that end every channel.
  [[nodiscard]] std::deque<Event> shut_down();

  // ---- time
  [[nodiscard]] Result<void> advance(Instant now);
  [[nodiscard]] Instant next_deadline() const { return keepalive_at_; }

  // ---- commands, as in session.hpp
  [[nodiscard]] Result<ChannelId> open(std::string_view type, ByteView type_fields);
  void accept(ChannelId id);
  void refuse(ChannelId id, OpenFailure reason, std::string_view description);
  [[nodiscard]] std::size_t sendable(ChannelId id) const;
  std::size_t send(ChannelId id, ByteView data);
  void consumed(ChannelId id, std::size_t n, Instant now);
  void send_eof(ChannelId id);
  void close(ChannelId id);
  bool global_request(std::string_view name, ByteView data, bool want_reply, std::uint64_t token,
                      Instant now);
  void reply_global(bool success, ByteView data);
  void reply_listen(bool success, std::uint32_t bound_port);
  void prove_host_keys(ByteView signatures);  ///< the answer's data; empty: a refusal
  void reply_channel(ChannelId id, bool success);
  void send_exit_status(ChannelId id, std::uint32_t status);

  [[nodiscard]] std::size_t output_limit() const { return pacer_.limit(); }
  [[nodiscard]] std::size_t channel_count() const { return live_; }
  /// A command met a limit of ours (too much deferred): the session has to end.
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }
  [[nodiscard]] Duration round_trip() const { return round_trip_; }
  [[nodiscard]] const WindowBudget& budget() const { return budget_; }

 private:
  using Step = Result<std::optional<Event>>;

  Step on_open(ByteView payload);
  Step on_open_confirmation(ByteView payload);
  Step on_open_failure(ByteView payload);
  Step on_adjust(ByteView payload);
  Step on_data(ByteView payload);
  Step on_extended_data(ByteView payload);
  Step deliver(std::uint32_t recipient, ByteView data, bool extended);
  Step on_eof(ByteView payload);
  Step on_close(ByteView payload);
  Step on_channel_request(ByteView payload);
  Step on_global_request(ByteView payload);
  Step on_global_reply(ByteView payload, Instant now);
  void send_answers();

  Channel* find(std::uint32_t id) const;
  Result<Channel*> peer_channel(std::uint32_t id) const;
  Channel* add(Channel::State state, std::uint32_t window);
  void remove(Channel& channel);
  void answer_close(Channel& channel);
  void release(Channel& channel, std::size_t n);
  void give_credit(Channel& channel);
  void send(ByteView payload);
  template <class Message>
  void send_message(const Message& message) {
    send(encoded(message));
  }
  [[nodiscard]] bool can_send_data(const Channel& channel) const;
  [[nodiscard]] std::size_t room_for(const Channel& channel) const;
  void queue_turn(Channel& channel);
  void probe_round_trip(Instant now);

  Role role_;
  const Limits& limits_;
  const Timing& timing_;
  PacketLink& link_;

  std::vector<std::unique_ptr<Channel>> channels_;  // by ChannelId
  std::vector<ChannelId> free_ids_;
  std::vector<ChannelId> retired_ids_;  // gone, but the event that says so may still be on its way
  std::size_t live_ = 0;
  WindowBudget budget_;
  OutputPacer pacer_;

  // Channels take turns while the output queue is full.
  std::deque<ChannelId> turns_;
  std::optional<ChannelId> turn_;
  std::size_t turn_left_ = 0;

  // Channels whose credit waits for a key exchange to end.
  bool credit_waits_ = false;

  enum class ReplyTo : std::uint8_t { user, keepalive };
  struct PendingReply {
    ReplyTo to;
    std::uint64_t token;
    Instant sent_at;
  };
  std::deque<PendingReply> pending_replies_;
  GlobalRequests requests_;

  bool peer_tells_resets_ = false;
  WindowSpare spare_ = kNarrowSpare;
  Instant heard_at_{};
  Instant keepalive_at_ = kNever;
  Instant last_probe_{};
  std::uint32_t keepalives_unanswered_ = 0;
  Duration round_trip_{};  // the smallest seen; zero: none yet
  std::uint64_t consumed_without_round_trip_ = 0;
  std::optional<Error> failure_;
};

}  // namespace culvert::ssh

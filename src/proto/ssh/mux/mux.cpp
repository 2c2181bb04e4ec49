// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/mux/mux.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/wire.hpp"
#include "proto/ssh/wire/messages.hpp"

namespace culvert::ssh {
namespace {

constexpr std::uint32_t kMaxPacketIn = 32 * 1024;   // what we let the peer put into one message
constexpr std::uint32_t kMaxPacketOut = 32 * 1024;  // larger ones gain nothing and hold up others longer
constexpr std::size_t kDataHeader = 9;              // CHANNEL_DATA: number, recipient, length
constexpr std::size_t kShortestTurn = 32 * 1024;
constexpr std::uint64_t kProbeAfter = 256 * 1024;  // windows beyond this want to know the path's round trip
constexpr Duration kProbeEvery = std::chrono::seconds(2);
constexpr std::size_t kMaxText = 4096;
constexpr std::size_t kMaxOpen = 32 * 1024;  // what every peer takes in one packet
constexpr std::uint8_t kMaxAsked = 32;       // requests on a channel that wait for an answer
constexpr std::size_t kKeptForKeepalives = 24;

std::unexpected<Error> protocol_error(std::string what) {
  return fail(Errc::protocol, std::move(what), static_cast<std::int64_t>(DisconnectReason::protocol_error));
}

}  // namespace

Mux::Mux(Role role, const Limits& limits, const Timing& timing, PacketLink& link)
    : role_(role),
      limits_(limits),
      timing_(timing),
      link_(link),
      budget_(limits),
      pacer_(limits.output_min, limits.output_max),
      requests_(role, limits.global_requests_pending) {}

// ---- messages

Mux::Step Mux::on_message(ByteView payload, Instant now) {
  switch (payload[0]) {
    case GlobalRequestMessage::kNumber:
      return on_global_request(payload);
    case RequestSuccessMessage::kNumber:
    case RequestFailureMessage::kNumber:
      return on_global_reply(payload, now);
    case ChannelOpenMessage::kNumber:
      return on_open(payload);
    case ChannelOpenConfirmationMessage::kNumber:
      return on_open_confirmation(payload);
    case ChannelOpenFailureMessage::kNumber:
      return on_open_failure(payload);
    case ChannelWindowAdjustMessage::kNumber:
      return on_adjust(payload);
    case ChannelDataMessage::kNumber:
      return on_data(payload);
    case ChannelExtendedDataMessage::kNumber:
      return on_extended_data(payload);
    case ChannelEofMessage::kNumber:
      return on_eof(payload);
    case ChannelCloseMessage::kNumber:
      return on_close(payload);
    case ChannelRequestMessage::kNumber:
      return on_channel_request(payload);
    default:
      return protocol_error("an answer to a channel request that was never made");  // 99, 100: we make none
  }
}

Mux::Step Mux::on_data(ByteView payload) {
  const auto message = TRY(decode<ChannelDataMessage>(payload));
  return deliver(message.recipient, message.data, false);
}

Mux::Step Mux::on_extended_data(ByteView payload) {
  const auto message = TRY(decode<ChannelExtendedDataMessage>(payload));
  return deliver(message.recipient, message.data, true);
}

Mux::Step Mux::deliver(std::uint32_t recipient, ByteView data, bool extended) {
  Channel* channel = TRY(peer_channel(recipient));
  if (channel->eof_received || channel->close_received)
    return protocol_error("channel data behind the end of the channel");
  if (data.size() > kMaxPacketIn) return protocol_error("channel data larger than the packet size we gave");
  if (!channel->receive.arrived(data.size()))
    return protocol_error("more channel data than the window we gave");
  if (channel->close_sent || data.empty()) {  // nobody wants it any more
    release(*channel, data.size());
    return std::nullopt;
  }
  return ChannelData{channel->id, data, extended};
}

Mux::Step Mux::on_adjust(ByteView payload) {
  const auto message = TRY(decode<ChannelWindowAdjustMessage>(payload));
  Channel* channel = TRY(peer_channel(message.recipient));
  if (!channel->send.adjust(message.bytes)) return protocol_error("a channel's window passed 2^32 - 1");
  const bool can_go_on = can_send_data(*channel) && channel->send.available() > 0;
  if (channel->wants_to_send && can_go_on) queue_turn(*channel);
  return std::nullopt;
}

Mux::Step Mux::on_eof(ByteView payload) {
  const auto message = TRY(decode<ChannelEofMessage>(payload));
  Channel* channel = TRY(peer_channel(message.recipient));
  if (channel->eof_received || channel->close_received) return protocol_error("a channel ended twice");
  channel->eof_received = true;
  if (channel->close_sent) return std::nullopt;
  return ChannelEnded{channel->id};
}

Mux::Step Mux::on_close(ByteView payload) {
  const auto message = TRY(decode<ChannelCloseMessage>(payload));
  Channel* channel = TRY(peer_channel(message.recipient));
  if (channel->close_received) return protocol_error("a channel was closed twice");
  channel->close_received = true;
  const ChannelClosed event{channel->id, peer_tells_resets_ && !channel->eof_received};
  const std::uint32_t before = channel->receive.footprint();
  channel->receive.ended();
  budget_.change(before, channel->receive.footprint());
  if (channel->close_sent) {
    remove(*channel);
  } else if (channel->receive.held() == 0) {
    answer_close(*channel);
  }
  return event;
}

void Mux::answer_close(Channel& channel) {
  send_message(ChannelCloseMessage{channel.peer_id});
  remove(channel);
}

Mux::Step Mux::on_open(ByteView payload) {
  const auto message = TRY(decode<ChannelOpenMessage>(payload));
  const auto refuse_open = [&](OpenFailure reason, std::string_view text) -> Step {
    send_message(ChannelOpenFailureMessage{message.sender, static_cast<std::uint32_t>(reason), text, ""});
    return std::nullopt;
  };
  ChannelRequested event{0, std::string(message.type), {}, 0, {}, 0};
  const std::string_view tcpip = role_ == Role::server ? "direct-tcpip" : "forwarded-tcpip";
  if (message.type == tcpip) {
    const auto target = TRY(decode_fields<TcpipOpen>(message.type_fields.bytes));
    if (target.host.size() > kMaxText || target.origin_host.size() > kMaxText || target.port > 65535) {
      return refuse_open(OpenFailure::connect_failed, "impossible destination");
    }
    event.host = target.host, event.port = target.port;
    event.origin_host = target.origin_host, event.origin_port = target.origin_port;
  } else if (role_ == Role::server && message.type == "direct-streamlocal@openssh.com") {
    const auto target = TRY(decode_fields<DirectStreamlocalOpen>(message.type_fields.bytes));
    if (target.path.size() > kMaxText)
      return refuse_open(OpenFailure::connect_failed, "impossible destination");
    event.host = target.path;
  } else if (role_ == Role::client && message.type == "forwarded-streamlocal@openssh.com") {
    const auto source = TRY(decode_fields<ForwardedStreamlocalOpen>(message.type_fields.bytes));
    if (source.path.size() > kMaxText) return refuse_open(OpenFailure::connect_failed, "impossible path");
    event.host = source.path;
  } else if (role_ == Role::server && message.type == "session") {
    if (!message.type_fields.bytes.empty()) return protocol_error("a session channel with fields of its own");
    if (requests_.no_more_sessions())
      return refuse_open(OpenFailure::administratively_prohibited, "no more sessions were to come");
  } else {
    return refuse_open(OpenFailure::unknown_channel_type, "channel type not supported");
  }
  if (message.max_packet == 0) return refuse_open(OpenFailure::resource_shortage, "maximum packet size of 0");
  const auto window = budget_.open();
  if (!window) return refuse_open(OpenFailure::resource_shortage, "too many channels");
  Channel* channel = add(Channel::State::requested, *window);
  channel->peer_id = message.sender;
  channel->peer_max_packet = std::min(message.max_packet, kMaxPacketOut);
  channel->send = SendWindow(message.window);
  channel->is_session = event.type == "session";
  event.id = channel->id;
  return event;
}

Mux::Step Mux::on_open_confirmation(ByteView payload) {
  const auto message = TRY(decode<ChannelOpenConfirmationMessage>(payload));
  Channel* channel = find(message.recipient);
  if (channel == nullptr || channel->state != Channel::State::opening) {
    return protocol_error("a channel was confirmed that was not being opened");
  }
  if (message.max_packet == 0) return protocol_error("a channel with a maximum packet size of 0");
  channel->state = Channel::State::open;
  channel->peer_id = message.sender;
  channel->peer_max_packet = std::min(message.max_packet, kMaxPacketOut);
  channel->send = SendWindow(message.window);
  if (channel->close_when_open) {
    channel->close_sent = true;
    send_message(ChannelCloseMessage{channel->peer_id});
    return std::nullopt;
  }
  return ChannelOpened{channel->id};
}

Mux::Step Mux::on_open_failure(ByteView payload) {
  const auto message = TRY(decode<ChannelOpenFailureMessage>(payload));
  Channel* channel = find(message.recipient);
  if (channel == nullptr || channel->state != Channel::State::opening) {
    return protocol_error("a channel was refused that was not being opened");
  }
  const ChannelOpenFailed event{channel->id, static_cast<OpenFailure>(message.reason),
                                std::string(message.description.substr(0, kMaxText))};
  remove(*channel);
  return event;
}

Mux::Step Mux::on_channel_request(ByteView payload) {
  const auto message = TRY(decode<ChannelRequestMessage>(payload));
  // sshd asks whether we live on a channel that it has closed, and that is gone here: the answer to the close
  // is an answer.
  auto found = peer_channel(message.recipient);
  if (!found && message.recipient < channels_.size()) return std::nullopt;
  Channel* channel = TRY(std::move(found));
  if (channel->close_sent) return std::nullopt;
  if (!channel->is_session || channel->close_received) {
    // None mean anything on a forwarded stream; keepalive@openssh.com only wants to hear something.
    if (message.want_reply) send_message(ChannelFailureMessage{channel->peer_id});
    return std::nullopt;
  }
  if (message.want_reply && ++channel->replies_owed > kMaxAsked)
    return protocol_error("too many requests on a channel at once");
  return ChannelAsked{channel->id, std::string(message.type.substr(0, kMaxText)), copy_of(message.data.bytes),
                      message.want_reply};
}

Mux::Step Mux::on_global_request(ByteView payload) {
  auto event = TRY(requests_.on_request(payload));
  send_answers();
  return event;
}

Mux::Step Mux::on_global_reply(ByteView payload, Instant now) {
  if (pending_replies_.empty()) return protocol_error("an answer to a global request that was never made");
  const bool success = payload[0] == RequestSuccessMessage::kNumber;
  if (!success) TRY(decode<RequestFailureMessage>(payload));
  const PendingReply pending = pending_replies_.front();
  pending_replies_.pop_front();
  if (pending.to == ReplyTo::keepalive) {
    keepalives_unanswered_ = 0;
    const Duration took = std::max<Duration>(now - pending.sent_at, Duration(1));
    if (round_trip_ == Duration::zero() || took < round_trip_) round_trip_ = took;
    consumed_without_round_trip_ = 0;
    return std::nullopt;
  }
  return GlobalReply{pending.token, success, copy_of(payload.subspan(1))};
}

// ---- slots

Channel* Mux::find(std::uint32_t id) const { return id < channels_.size() ? channels_[id].get() : nullptr; }

Result<Channel*> Mux::peer_channel(std::uint32_t id) const {
  Channel* channel = find(id);
  if (channel == nullptr || channel->state != Channel::State::open) {
    return protocol_error(fmt::format("message for channel {}, which is not open", id));
  }
  return channel;
}

Channel* Mux::add(Channel::State state, std::uint32_t window) {
  ChannelId id = static_cast<ChannelId>(channels_.size());
  if (free_ids_.empty()) {
    channels_.emplace_back();
  } else {
    id = free_ids_.back();
    free_ids_.pop_back();
  }
  channels_[id] = std::make_unique<Channel>(id, state, window);
  ++live_;
  return channels_[id].get();
}

void Mux::remove(Channel& channel) {
  const ChannelId id = channel.id;
  budget_.close(channel.receive.footprint());
  if (channel.in_turn_queue) std::erase(turns_, id);
  if (turn_ == id) turn_.reset();
  channels_[id].reset();
  retired_ids_.push_back(id);
  --live_;
}

void Mux::reuse_ids() {
  free_ids_.insert(free_ids_.end(), retired_ids_.begin(), retired_ids_.end());
  retired_ids_.clear();
}

std::deque<Event> Mux::shut_down() {
  std::deque<Event> events;
  for (const auto& channel : channels_) {
    if (channel && !channel->close_received)
      events.emplace_back(ChannelClosed{channel->id, !channel->eof_received});
  }
  channels_.clear();
  free_ids_.clear();
  retired_ids_.clear();
  turns_.clear();
  turn_.reset();
  live_ = 0;
  keepalive_at_ = kNever;
  return events;
}

// ---- commands

void Mux::send(ByteView payload) {
  if (failure_) return;
  if (auto sent = link_.send(payload); !sent) failure_ = std::move(sent).error();
}

Result<ChannelId> Mux::open(std::string_view type, ByteView type_fields) {
  if (type_fields.size() > kMaxOpen) return fail(Errc::usage, "the name of the destination is too long");
  const auto window = budget_.open();
  if (!window)
    return fail(Errc::limit, fmt::format("too many open channels (the limit is {})", limits_.channels));
  Channel* channel = add(Channel::State::opening, *window);
  auto sent =
      link_.send(encoded(ChannelOpenMessage{type, channel->id, *window, kMaxPacketIn, Rest{type_fields}}));
  if (!sent) {  // too much waits for a key exchange: the others need not end for that
    remove(*channel);
    return std::unexpected(std::move(sent).error());
  }
  return channel->id;
}

void Mux::accept(ChannelId id) {
  Channel* channel = find(id);
  if (channel == nullptr || channel->state != Channel::State::requested) return;
  channel->state = Channel::State::open;
  send_message(ChannelOpenConfirmationMessage{channel->peer_id, id, channel->receive.outstanding(),
                                              kMaxPacketIn, Rest{}});
}

void Mux::refuse(ChannelId id, OpenFailure reason, std::string_view description) {
  Channel* channel = find(id);
  if (channel == nullptr || channel->state != Channel::State::requested) return;
  send_message(
      ChannelOpenFailureMessage{channel->peer_id, static_cast<std::uint32_t>(reason), description, ""});
  remove(*channel);
}

void Mux::send_eof(ChannelId id) {
  Channel* channel = find(id);
  if (channel == nullptr || !can_send_data(*channel)) return;
  channel->eof_sent = true;
  send_message(ChannelEofMessage{channel->peer_id});
}

void Mux::close(ChannelId id) {
  Channel* channel = find(id);
  if (channel == nullptr || channel->close_sent) return;
  if (channel->close_received) {
    answer_close(*channel);
  } else if (channel->state == Channel::State::opening) {
    channel->close_when_open = true;
  } else if (channel->state == Channel::State::requested) {
    refuse(id, OpenFailure::connect_failed, "");
  } else {
    channel->close_sent = true;
    send_message(ChannelCloseMessage{channel->peer_id});
    release(*channel, channel->receive.held());  // nobody will consume it
  }
}

// Keepalives need the rest: a peer that is slow to answer should not look like a dead one.
bool Mux::global_request(std::string_view name, ByteView data, bool want_reply, std::uint64_t token,
                         Instant now) {
  const std::size_t most = limits_.global_requests_pending;
  if (want_reply && pending_replies_.size() + std::min(kKeptForKeepalives, most / 4) >= most) return false;
  if (want_reply) pending_replies_.push_back({ReplyTo::user, token, now});
  send_message(GlobalRequestMessage{name, want_reply, Rest{data}});
  return true;
}

void Mux::reply_global(bool success, ByteView data) {
  requests_.reply(success, data);
  send_answers();
}

void Mux::reply_listen(bool success, std::uint32_t bound_port) {
  requests_.reply_listen(success, bound_port);
  send_answers();
}

void Mux::prove_host_keys(ByteView signatures) {
  requests_.prove(signatures);
  send_answers();
}

void Mux::send_answers() {
  while (const auto answer = requests_.next_answer()) send(*answer);
}

void Mux::reply_channel(ChannelId id, bool success) {
  Channel* channel = find(id);
  if (channel == nullptr || channel->replies_owed == 0 || channel->is_closing()) return;
  --channel->replies_owed;
  if (success) {
    send_message(ChannelSuccessMessage{channel->peer_id});
  } else {
    send_message(ChannelFailureMessage{channel->peer_id});
  }
}

void Mux::send_exit_status(ChannelId id, std::uint32_t status) {
  const Channel* channel = find(id);
  const bool may = channel != nullptr && channel->is_session && channel->state == Channel::State::open &&
                   !channel->is_closing();
  if (!may) return;
  Bytes data;
  encode_fields(data, ExitStatus{status});
  send_message(ChannelRequestMessage{channel->peer_id, "exit-status", false, Rest{data}});
}

// ---- outbound data: window, queue and turns

bool Mux::can_send_data(const Channel& channel) const {
  return channel.state == Channel::State::open && !channel.eof_sent && !channel.is_closing();
}

std::size_t Mux::room_for(const Channel& channel) const {
  if (!link_.may_send() || failure_) return 0;
  const bool has_turn = turn_ == channel.id;
  if (!has_turn && !turns_.empty()) return 0;
  const std::size_t pending = link_.pending_output();
  const std::size_t room = pending < pacer_.limit() ? pacer_.limit() - pending : 0;
  return std::min<std::size_t>({room, channel.send.available(), has_turn ? turn_left_ : room});
}

std::size_t Mux::sendable(ChannelId id) const {
  const Channel* channel = find(id);
  return channel != nullptr && can_send_data(*channel) ? room_for(*channel) : 0;
}

std::size_t Mux::send(ChannelId id, ByteView data) {
  Channel* channel = find(id);
  if (channel == nullptr || !can_send_data(*channel) || data.empty()) return 0;
  std::size_t taken = 0;
  while (taken < data.size()) {
    const std::size_t size =
        std::min<std::size_t>({data.size() - taken, room_for(*channel), channel->peer_max_packet});
    if (size == 0) break;
    std::uint8_t head[kDataHeader];
    head[0] = ChannelDataMessage::kNumber;
    store_u32(head + 1, channel->peer_id);
    store_u32(head + 5, static_cast<std::uint32_t>(size));
    channel->send.take(size);
    if (turn_ == id) turn_left_ -= size;
    link_.send_data(head, data.subspan(taken, size));
    taken += size;
  }
  channel->wants_to_send = taken < data.size();
  if (channel->wants_to_send && channel->send.available() > 0) queue_turn(*channel);
  return taken;
}

void Mux::queue_turn(Channel& channel) {
  if (channel.in_turn_queue) return;
  channel.in_turn_queue = true;
  turns_.push_back(channel.id);
}

std::optional<Event> Mux::next_event() {
  turn_.reset();
  if (!link_.may_send() || link_.pending_output() > pacer_.limit() / 2) return std::nullopt;
  while (!turns_.empty()) {
    const ChannelId id = turns_.front();
    turns_.pop_front();
    Channel& channel = *channels_[id];
    channel.in_turn_queue = false;
    const bool wants = std::exchange(channel.wants_to_send, false);
    if (!wants || !can_send_data(channel)) continue;  // it sent all since, or it ended
    turn_ = id;
    turn_left_ = turns_.empty() ? pacer_.limit() : std::max(kShortestTurn, pacer_.limit() / 4);
    return ChannelWritable{id};
  }
  return std::nullopt;
}

// ---- inbound data: credit

void Mux::consumed(ChannelId id, std::size_t n, Instant now) {
  Channel* channel = find(id);
  if (channel == nullptr || channel->close_sent || n == 0) return;
  if (channel->close_received) {
    release(*channel, n);
    if (channel->receive.held() == 0) answer_close(*channel);
    return;
  }
  channel->tuner.consumed(n, now, round_trip_, limits_.window_max, spare_);
  // A server did not see it in the key exchange; as long as it is unknown, windows may not grow at all.
  if (round_trip_ == Duration::zero()) consumed_without_round_trip_ += n;
  if (std::max<std::uint64_t>(channel->tuner.target(), consumed_without_round_trip_) > kProbeAfter)
    probe_round_trip(now);
  release(*channel, n);
  if (!channel->eof_received) give_credit(*channel);
}

void Mux::release(Channel& channel, std::size_t n) {
  const std::uint32_t before = channel.receive.footprint();
  channel.receive.consumed(n);
  budget_.change(before, channel.receive.footprint());
}

void Mux::give_credit(Channel& channel) {
  if (!link_.may_send()) {
    credit_waits_ = true;
    return;
  }
  const std::uint32_t footprint = channel.receive.footprint();
  const std::uint32_t target = std::max(channel.tuner.target(), limits_.window_min);
  if (footprint >= target) return;
  const auto credit =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(target - footprint, budget_.grantable(footprint)));
  // A message per packet would cost more than it brings. What the peer may still send decides as well, so
  // that a window that shrank or ran dry is not waited on.
  const bool worth_a_message =
      credit >= WindowTuner::worth_a_message(target, spare_) || credit >= channel.receive.outstanding();
  if (credit == 0 || !worth_a_message) return;
  channel.receive.granted(credit);
  budget_.change(footprint, channel.receive.footprint());
  send_message(ChannelWindowAdjustMessage{channel.peer_id, credit});
}

void Mux::link_ready() {
  if (!credit_waits_ || !link_.may_send()) return;
  credit_waits_ = false;
  for (const auto& channel : channels_) {
    const bool receives =
        channel && channel->state == Channel::State::open && !channel->eof_received && !channel->is_closing();
    if (receives) give_credit(*channel);
  }
}

// ---- is the peer alive, and how far away

void Mux::start(Instant now, Duration round_trip, bool peer_is_culvert) {
  round_trip_ = round_trip;
  peer_tells_resets_ = peer_is_culvert;
  spare_ = peer_is_culvert ? kWideSpare : kNarrowSpare;
  heard(now);
}

void Mux::heard(Instant now) {
  if (timing_.keepalive_interval == Duration::zero()) return;
  keepalives_unanswered_ = 0;
  heard_at_ = now;
  keepalive_at_ = now + timing_.keepalive_interval;
}

void Mux::probe_round_trip(Instant now) {
  if (now - last_probe_ < kProbeEvery || pending_replies_.size() >= limits_.global_requests_pending) return;
  last_probe_ = now;
  pending_replies_.push_back({ReplyTo::keepalive, 0, now});
  send_message(GlobalRequestMessage{"keepalive@openssh.com", true, Rest{}});
}

Result<void> Mux::advance(Instant now) {
  if (now < keepalive_at_) return {};
  if (keepalives_unanswered_ >= timing_.keepalive_count) {
    const auto silence = std::chrono::duration_cast<std::chrono::seconds>(now - heard_at_);
    return fail(Errc::timed_out,
                fmt::format("the peer does not answer: nothing has come for {} s, {} keepalive{} unanswered",
                            silence.count(), keepalives_unanswered_, keepalives_unanswered_ == 1 ? "" : "s"));
  }
  if (pending_replies_.size() >= limits_.global_requests_pending) {
    return fail(Errc::limit, "the peer answers no global requests");
  }
  ++keepalives_unanswered_;
  keepalive_at_ = now + timing_.keepalive_interval;
  pending_replies_.push_back({ReplyTo::keepalive, 0, now});
  send_message(GlobalRequestMessage{"keepalive@openssh.com", true, Rest{}});
  return {};
}

}  // namespace culvert::ssh

// SPDX-License-Identifier: Apache-2.0
// Two Mux joined in memory without a transport: what SessionPair is for sessions, at a fraction of the price.
// Messages go in frames, a key exchange is one message each way, and nothing is sealed.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "base/assert.hpp"
#include "base/wire.hpp"
#include "proto/ssh/mux/mux.hpp"
#include "tests/support/manual_clock.hpp"

namespace culvert::test {

/// A session that is logged in, as far as channels are concerned.
class BareSession final : public ssh::PacketLink {
 public:
  BareSession(ssh::Role role, ssh::SessionConfig config, Instant now)
      : config_(std::move(config)), now_(now), mux_(role, config_.limits, config_.timing, *this) {
    mux_.start(now, Duration::zero(), false);
  }

  // ---- the link
  [[nodiscard]] bool may_send() const override { return !kexinit_sent_; }
  [[nodiscard]] Result<void> send(ByteView payload) override {
    Writer(kexinit_sent_ ? deferred_ : out_).string(payload);
    return {};
  }
  void send_data(ByteView head, ByteView body) override {
    CULVERT_ASSERT(may_send());
    Writer(out_).u32(static_cast<std::uint32_t>(head.size() + body.size())).bytes(head).bytes(body);
    if (++packets_ >= config_.rekey.packets) request_rekey();
  }
  [[nodiscard]] std::size_t pending_output() const override { return out_.size(); }

  // ---- as in ssh::Session
  [[nodiscard]] MutableBytes prepare(std::size_t n) {
    in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(std::exchange(understood_, 0)));
    came_ = in_.size();
    in_.resize(came_ + n);
    return MutableBytes(in_).subspan(came_);
  }
  void commit(std::size_t, Instant now) {
    now_ = now;
    if (!ended_) mux_.heard(now);
  }
  void commit_end(Instant) { end_with({Errc::closed, "the link is gone"}); }
  [[nodiscard]] ByteView output() const { return out_; }
  void consume_output(std::size_t n, Instant now) {
    out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(n));
    mux_.output_consumed(n, now);
  }
  [[nodiscard]] std::optional<ssh::Event> next_event() {
    mux_.reuse_ids();
    if (auto event = take_queued()) return event;
    while (!ended_) {
      mux_.link_ready();
      Reader reader(ByteView(in_).subspan(understood_));
      const auto payload = reader.string();
      if (!payload) return mux_.next_event();
      understood_ += 4 + payload->size();
      auto event = on_message(*payload);
      if (!event) end_with(std::move(event).error());
      if (event && *event) return std::move(*event);
    }
    return take_queued();
  }
  void advance(Instant now) {
    now_ = now;
    if (ended_) return;
    if (auto state = mux_.advance(now); !state) end_with(std::move(state).error());
  }
  [[nodiscard]] Result<ssh::ChannelId> open_direct_tcpip(std::string_view host, std::uint32_t port,
                                                         std::string_view origin, std::uint32_t origin_port) {
    return open("direct-tcpip", ssh::TcpipOpen{host, port, origin, origin_port});
  }
  [[nodiscard]] Result<ssh::ChannelId> open_forwarded_tcpip(std::string_view host, std::uint32_t port,
                                                            std::string_view origin,
                                                            std::uint32_t origin_port) {
    return open("forwarded-tcpip", ssh::TcpipOpen{host, port, origin, origin_port});
  }
  [[nodiscard]] Result<ssh::ChannelId> open_forwarded_streamlocal(std::string_view path) {
    return open("forwarded-streamlocal@openssh.com", ssh::ForwardedStreamlocalOpen{path, ""});
  }
  void accept_channel(ssh::ChannelId id) { ended_ ? void() : mux_.accept(id); }
  void refuse_channel(ssh::ChannelId id, ssh::OpenFailure reason, std::string_view text) {
    ended_ ? void() : mux_.refuse(id, reason, text);
  }
  [[nodiscard]] std::size_t sendable(ssh::ChannelId id) const { return ended_ ? 0 : mux_.sendable(id); }
  std::size_t send(ssh::ChannelId id, ByteView data) { return ended_ ? 0 : mux_.send(id, data); }
  void consumed(ssh::ChannelId id, std::size_t n) { ended_ ? void() : mux_.consumed(id, n, now_); }
  void send_eof(ssh::ChannelId id) { ended_ ? void() : mux_.send_eof(id); }
  void close(ssh::ChannelId id) { ended_ ? void() : mux_.close(id); }
  void send_global_request(std::string_view name, ByteView data, bool want_reply, std::uint64_t token) {
    if (!ended_) mux_.global_request(name, data, want_reply, token, now_);
  }
  void reply_global(bool success, ByteView data) { ended_ ? void() : mux_.reply_global(success, data); }
  void reply_listen(bool success, std::uint32_t port) { ended_ ? void() : mux_.reply_listen(success, port); }
  void request_rekey() {
    if (ended_ || kexinit_sent_) return;
    Writer(out_).string(as_bytes("\x14"));
    kexinit_sent_ = true;
  }
  void disconnect(std::string_view text) { end_with({Errc::cancelled, std::string(text)}); }
  [[nodiscard]] std::size_t channel_count() const { return mux_.channel_count(); }
  [[nodiscard]] bool is_closed() const { return ended_; }
  [[nodiscard]] const ssh::WindowBudget& budget() const { return mux_.budget(); }

 private:
  std::optional<ssh::Event> take_queued() {
    if (queued_.empty()) return std::nullopt;
    ssh::Event event = std::move(queued_.front());
    queued_.pop_front();
    return event;
  }
  Result<std::optional<ssh::Event>> on_message(ByteView payload) {
    if (payload[0] != ssh::KexInitMessage::kNumber) return mux_.on_message(payload, now_);
    request_rekey();  // our half, where it is not out yet
    kexinit_sent_ = false;
    packets_ = 0;
    const Bytes waiting = std::exchange(deferred_, {});
    Writer(out_).bytes(waiting);
    return std::nullopt;
  }
  template <class Target>
  Result<ssh::ChannelId> open(std::string_view type, const Target& target) {
    if (ended_) return fail(Errc::closed, "not connected");
    Bytes fields;
    ssh::encode_fields(fields, target);
    return mux_.open(type, fields);
  }
  void end_with(Error error) {
    if (std::exchange(ended_, true)) return;
    for (ssh::Event& event : mux_.shut_down()) queued_.push_back(std::move(event));
    queued_.emplace_back(ssh::Disconnected{std::move(error)});
  }

  ssh::SessionConfig config_;
  Instant now_;
  ssh::Mux mux_;
  Bytes in_, out_, deferred_;
  std::size_t understood_ = 0, came_ = 0;
  std::deque<ssh::Event> queued_;
  bool kexinit_sent_ = false;
  std::uint32_t packets_ = 0;
  bool ended_ = false;
};

struct MuxPair {
  explicit MuxPair(const ssh::SessionConfig& config)
      : client{{ssh::Role::client, config, clock.now()}}, server{{ssh::Role::server, config, clock.now()}} {}

  struct End {
    BareSession session;
  };
  ManualClock clock;
  End client, server;
};

}  // namespace culvert::test

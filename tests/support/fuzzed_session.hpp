// SPDX-License-Identifier: Apache-2.0
// A session that a fuzz harness does anything to, with the peer that it talks to, and what must be so all the
// while: bounds that hold, events in an order that makes sense, both sides counting the same channels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>
#include <variant>

#include "proto/ssh/session.hpp"
#include "tests/support/fuzz_input.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/scripted_peer.hpp"
#include "tests/support/test_certificate.hpp"
#include "tests/support/test_keys.hpp"

namespace culvert::test {

inline const Bytes& filler() {
  static const Bytes bytes(64 * 1024, 0x5A);
  return bytes;
}

class FuzzedSession {
 protected:
  /// `choice`: of limits, and of what the peer offers.
  FuzzedSession(ssh::Role role, std::uint8_t choice)
      : role_(role),
        config_(config(role_, choice)),
        session_(config_, random_, clock_.now()),
        peer_(role == ssh::Role::server ? ssh::Role::client : ssh::Role::server, offer(role_, choice), 12) {}

  struct Channel {
    enum class State : std::uint8_t { opening, requested, open } state;
    bool is_session = false;
    bool ended = false, closed = false;
    unsigned asked = 0;
    std::uint64_t held = 0;
    bool left = false;  ///< by the peer, and not all was consumed
  };

  // ---- bytes, time, events

  void pass(Duration span) {
    clock_.advance(span);
    session_.advance(clock_.now());
    take_events();
    require(session_.is_closed() || session_.next_deadline() > clock_.now(), "a deadline lies ahead");
  }
  void pump() {
    for (bool moved = true; moved;) {
      take_events();
      moved = false;
      if (const ByteView bytes = peer_.output(); !bytes.empty()) {
        std::ranges::copy(bytes, session_.prepare(bytes.size()).begin());
        session_.commit(bytes.size(), clock_.now());
        peer_.consume_output(bytes.size());
        moved = true;
      }
      take_events();
      if (!listens_ || session_.output().empty()) continue;
      if (honest_) peer_.receive(session_.output());
      session_.consume_output(session_.output().size(), clock_.now());
      while (honest_) {
        const auto payload = peer_.next();
        require(payload.has_value(), "what the machine sends can be read");
        if (!*payload) break;
        answer((**payload)[0]);
      }
      moved = true;
    }
    check();
  }
  void take_events() {
    while (auto event = session_.next_event()) {
      require(!ended_, "nothing comes after the end");
      std::visit([&](auto& e) { on(e); }, *event);
    }
  }

  // One way to log in, of a client.
  void try_method(std::uint8_t choice) {
    const SecretBytes secret(std::string_view("secret"));
    switch (choice % 5) {
      case 0:
        return session_.try_none();
      case 1:
        return session_.try_password(secret);
      case 2:
        return session_.try_keyboard_interactive();
      case 3:
        return session_.try_public_key(user_key().public_key(), "ssh-ed25519", true);
      default:
        return session_.try_public_key(user_key().public_key(), "ssh-ed25519", false);
    }
  }

  ssh::Role role_;
  SeededRandom random_{11};
  ManualClock clock_;
  ssh::SessionConfig config_;
  ssh::Session session_;
  ScriptedPeer peer_;
  std::map<ssh::ChannelId, Channel> channels_;
  bool honest_ = true;         // about keys: the peer reads and answers
  bool kexinit_sent_ = false;  // by the peer, of the exchange in progress
  bool listens_ = true;
  bool ended_ = false;
  bool proof_wanted_ = false;
  bool instance_told_ = false;
  unsigned attempts_ = 0;

 private:
  static constexpr std::size_t kSlack =
      (8u << 20) + (2u << 20);  // beyond the queue: answers, what a key exchange held up

  static ssh::SessionConfig config(ssh::Role role, std::uint8_t choice) {
    ssh::SessionConfig config;
    config.role = role;
    config.user = "somebody";
    config.instance = ssh::InstanceId{1, 2, 3};
    config.host_keys = {host_key().public_key()};
    if (choice & 64) config.banner = "text\n";
    if (choice & 128) {
      config.host_certificates = {certificate_for(host_key().public_key(), crypto::Certificate::Kind::host)};
    }
    config.algorithms.ciphers = {"aes128-gcm@openssh.com"};
    if (choice & 1) {
      config.limits.channels = 4;
      config.limits.window_min = 512, config.limits.window_budget = 16 * 1024;
      config.limits.window_initial = 2048, config.limits.window_max = 8192;
    }
    if (choice & 2)
      config.limits.deferred_output = 2000, config.limits.output_min = config.limits.output_max = 3000;
    if (choice & 4) config.rekey.packets = 20;
    if (choice & 8) config.limits.before_auth_bytes = 16 * 1024, config.limits.auth_attempts = 2;
    if (choice & 16) config.limits.global_requests_pending = 2;
    return config;
  }
  static ScriptedPeer::Offer offer(ssh::Role role, std::uint8_t choice) {
    ScriptedPeer::Offer offer;
    offer.key_exchange = "ecdh-sha2-nistp256";  // the cheapest
    offer.cipher = "aes128-gcm@openssh.com";
    offer.strict = offer.ext_info = (choice & 32) == 0;
    // As a server it has no certificate to show.
    if (choice & 128 && role == ssh::Role::server) offer.host_key = "ssh-ed25519-cert-v01@openssh.com";
    return offer;
  }

  // ---- the peer

  // What a peer in order does about keys.
  void answer(std::uint8_t number) {
    const bool is_server = peer_.role() == ssh::Role::server;
    switch (number) {
      case ssh::KexInitMessage::kNumber:
        if (!std::exchange(kexinit_sent_, true)) peer_.send_kexinit();
        if (!is_server) peer_.send_value();
        break;
      case 30: {
        const bool is_first = peer_.session_id().empty();
        peer_.send_reply(host_key());
        peer_.send(ssh::NewKeysMessage{});
        kexinit_sent_ = false;
        if (is_first && peer_.offer().ext_info) tell_extensions();
        break;
      }
      case 31:
        peer_.send(ssh::NewKeysMessage{});
        kexinit_sent_ = false;
        break;
      default:
        break;
    }
  }

  void tell_extensions() {
    Bytes extensions;
    Writer(extensions).text(ssh::InstanceRequest::kName).text("0");
    peer_.send(ssh::ExtInfoMessage{1, ssh::Rest{extensions}});
  }

  // ---- what must be so

  void check() {
    require(session_.output().size() <= session_.output_limit() + kSlack, "the output is bounded");
    require(session_.channel_count() <= config_.limits.channels, "channels are bounded");
    require(session_.channel_count() == channels_.size(), "both count the same channels");
    require(session_.refused_attempts() <= config_.limits.auth_attempts, "attempts are bounded");
    std::uint64_t held = 0;
    for (const auto& [id, channel] : channels_) {
      const ssh::Limits& limits = config_.limits;
      require(channel.held <= std::max(limits.window_max, limits.window_initial), "a window has a ceiling");
      held += channel.held;
    }
    require(held <= config_.limits.window_budget, "all windows together stay in the budget");
  }

  Channel& channel(ssh::ChannelId id) {
    const auto found = channels_.find(id);
    require(found != channels_.end(), "an event names a channel that is there");
    return found->second;
  }
  template <class Event>
  void on(Event&) {}
  void on(ssh::HostKeyOffered&) { session_.accept_host_key(); }
  void on(ssh::HostSignatureWanted& e) { session_.host_signature(*host_key().sign(e.algorithm, e.message)); }
  void on(ssh::AuthNext&) { try_method(static_cast<std::uint8_t>(attempts_++ % 5)); }
  void on(ssh::UserSignatureWanted& e) {
    if (attempts_ % 2 != 0) return session_.skip_signature();
    session_.user_signature(*user_key().sign(e.algorithm, e.message));
  }
  void on(ssh::PromptsShown& e) { session_.answer_prompts(std::vector<SecretBytes>(e.prompts.size())); }
  void on(ssh::UserOffered& e) {
    const bool is_right = e.key == user_key().public_key();
    require(!e.signed_ || (is_right && e.user == "somebody"), "nobody signs as somebody else");
    require(!e.certificate ||
                (e.certificate->key() == e.key && e.certificate->kind() == crypto::Certificate::Kind::user),
            "a certificate is of the key, and for a user");
    is_right ? session_.accept_user() : session_.refuse_user();
  }
  void on(ssh::ChannelOpened& e) {
    require(channel(e.id).state == Channel::State::opening && !channel(e.id).closed, "it was being opened");
    channel(e.id).state = Channel::State::open;
  }
  void on(ssh::ChannelOpenFailed& e) {
    require(channel(e.id).state == Channel::State::opening, "what fails was being opened");
    channels_.erase(e.id);
  }
  void on(ssh::ChannelRequested& e) {
    const Channel asked{Channel::State::requested, e.type == "session"};
    require(channels_.emplace(e.id, asked).second, "an id is not given twice");
  }
  void on(ssh::ChannelData& e) {
    Channel& to = channel(e.id);
    require(to.state == Channel::State::open && !to.ended && !to.closed, "data is for an open channel");
    to.held += e.data.size();
  }
  void on(ssh::ChannelWritable& e) {
    require(session_.sendable(e.id) > 0, "a turn is worth something");
    session_.send(e.id, ByteView(filler()).first(5000));
  }
  void on(ssh::ChannelEnded& e) {
    require(!channel(e.id).ended && !channel(e.id).closed, "a channel ends once");
    channel(e.id).ended = true;
  }
  void on(ssh::ChannelClosed& e) {
    const Channel& closed = channel(e.id);
    require(closed.state != Channel::State::opening || closed.closed || session_.is_closed(),
            "what closes was open");
    require(!e.is_cut || !closed.ended, "what ended is not cut");
    if (closed.held == 0 || closed.closed || session_.is_closed()) {
      channels_.erase(e.id);
    } else {
      channel(e.id).left = true;
    }
  }
  void on(ssh::GlobalRequested& e) {
    if (e.want_reply && e.data.size() % 2 == 0) session_.reply_global(true, e.data);
  }
  void on(ssh::ListenRequested& e) {
    require(role_ == ssh::Role::server && e.host.size() <= 1024 && e.port <= 65535, "it is possible");
    if (e.host.size() % 2 == 0) session_.reply_listen(true, 40000);
  }
  void on(ssh::ChannelAsked& e) {
    Channel& on = channel(e.id);
    require(on.is_session && on.state == Channel::State::open && !on.closed, "an open session is asked");
    on.asked += e.want_reply;
    require(on.asked <= 32, "what waits is bounded");
  }
  void on(ssh::HostKeyProofWanted& e) {
    require(e.keys.size() == 1 && e.keys[0] == host_key().public_key(), "the key is ours");
    require(!std::exchange(proof_wanted_, true), "one proof at a time");
  }
  void on(ssh::InstanceTold&) {
    require(role_ == ssh::Role::server && session_.is_authenticated(), "a client that is logged in tells it");
    require(!std::exchange(instance_told_, true), "and once");
  }
  void on(ssh::Disconnected&) {
    std::erase_if(channels_, [](const auto& one) { return one.second.left; });
    require(channels_.empty(), "the end is the last event");
    ended_ = true;
  }
};

}  // namespace culvert::test

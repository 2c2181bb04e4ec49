// SPDX-License-Identifier: Apache-2.0
// Two SSH machines joined in memory: a client and a server, a link between them that can deliver in pieces of
// any size and be cut at any moment, and one clock. What every peer has to answer (host key, signatures,
// login) is answered here.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "crypto/private_key.hpp"
#include "proto/ssh/session.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/seeded_random.hpp"

namespace culvert::test {

/// One end: the machine, what it said, and what it received on each channel.
struct Peer {
  Peer(ssh::SessionConfig config, crypto::Random& random, Instant now)
      : session(std::move(config), random, now) {}

  ssh::Session session;
  std::vector<std::string> log;  ///< the names of all events, in order
  std::vector<Bytes> received;   ///< by ChannelId
  std::optional<Error> ended;
  std::function<bool(const ssh::Event&)> on_event;  ///< true: handled, the default answer is not given
  std::vector<ssh::ChannelId> opened, requested, closed;

  Bytes& data(ssh::ChannelId id) {
    if (received.size() <= id) received.resize(id + 1);
    return received[id];
  }
};

class SessionPair {
 public:
  struct Options {
    ssh::SessionConfig client, server;
    std::size_t piece = SIZE_MAX;           ///< bytes that the link delivers at once
    std::uint64_t deliveries = UINT64_MAX;  ///< the link is cut after so many
  };

  static inline const crypto::PrivateKey& host_key() {
    static const crypto::PrivateKey key = crypto::PrivateKey::generate_ed25519();
    return key;
  }
  static inline const crypto::PrivateKey& user_key() {
    static const crypto::PrivateKey key = crypto::PrivateKey::generate_ed25519();
    return key;
  }

  SessionPair() : SessionPair(Options{}) {}
  explicit SessionPair(Options options, std::uint64_t seed = 1)
      : random_client_(seed),
        random_server_(seed + 1),
        piece_(options.piece),
        deliveries_left_(options.deliveries),
        client(prepared(std::move(options.client), ssh::Role::client), random_client_, clock.now()),
        server(prepared(std::move(options.server), ssh::Role::server), random_server_, clock.now()) {}

  /// Moves bytes and answers events until nothing moves any more. Returns how many deliveries that took.
  std::uint64_t run() {
    const std::uint64_t before = deliveries_;
    for (bool moved = true; moved;) {
      moved = drain(client);
      moved = drain(server) || moved;
      moved = deliver(client, server) || moved;
      moved = deliver(server, client) || moved;
    }
    return deliveries_ - before;
  }

  /// Lets time pass up to `span`, stopping at every deadline on the way.
  void pass(Duration span) {
    const Instant end = clock.now() + span;
    for (int turns = 0; turns < 100000; ++turns) {
      const Instant next = std::min({client.session.next_deadline(), server.session.next_deadline(), end});
      clock.advance_to(next);
      client.session.advance(clock.now());
      server.session.advance(clock.now());
      run();
      if (clock.now() >= end) return;
    }
  }

  /// Logs in and opens one direct-tcpip channel from the client; the ids on both sides.
  struct Joined {
    ssh::ChannelId client, server;
  };
  std::optional<Joined> join() {
    run();
    if (!client.session.is_authenticated()) return std::nullopt;
    const auto id = client.session.open_direct_tcpip("target", 80, "127.0.0.1", 1234);
    run();
    if (!id || client.opened.empty() || server.requested.empty()) return std::nullopt;
    return Joined{*id, server.requested.back()};
  }

  ManualClock clock;

 private:
  static ssh::SessionConfig prepared(ssh::SessionConfig config, ssh::Role role) {
    config.role = role;
    if (config.user.empty()) config.user = "somebody";
    if (role == ssh::Role::server && config.host_keys.empty()) config.host_keys = {host_key().public_key()};
    return config;
  }

  SeededRandom random_client_, random_server_;
  std::size_t piece_;
  std::uint64_t deliveries_left_;
  std::uint64_t deliveries_ = 0;

  // Takes up to one piece from `from` to `to`; an exhausted link ends both directions.
  bool deliver(Peer& from, Peer& to) {
    const ByteView output = from.session.output();
    if (output.empty()) {
      if (from.ended && !to.ended) to.session.commit_end(clock.now());
      return from.ended && !to.ended;
    }
    if (deliveries_left_ == 0) {
      from.session.consume_output(output.size(), clock.now());
      from.session.commit_end(clock.now());
      to.session.commit_end(clock.now());
      return !from.ended || !to.ended;
    }
    --deliveries_left_;
    ++deliveries_;
    const std::size_t size = std::min(piece_, output.size());
    const MutableBytes room = to.session.prepare(size);
    std::copy_n(output.begin(), size, room.begin());
    from.session.consume_output(size, clock.now());
    to.session.commit(size, clock.now());
    return true;
  }

  bool drain(Peer& peer) {
    bool any = false;
    while (auto event = peer.session.next_event()) {
      any = true;
      note(peer, *event);
      if (peer.on_event && peer.on_event(*event)) continue;
      std::visit([&](auto& e) { answer(peer, e); }, *event);
    }
    return any;
  }

  static void note(Peer& peer, const ssh::Event& event);

  template <class Event>
  void answer(Peer&, Event&) {}
  void answer(Peer& peer, ssh::HostKeyOffered&) { peer.session.accept_host_key(); }
  void answer(Peer& peer, ssh::HostSignatureWanted& e) {
    peer.session.host_signature(*host_key().sign(e.algorithm, e.message));
  }
  void answer(Peer& peer, ssh::AuthNext& e) {
    if (e.methods.empty()) {
      peer.session.try_public_key(user_key().public_key(), "ssh-ed25519", false);
    } else {
      peer.session.disconnect("no more methods");
    }
  }
  void answer(Peer& peer, ssh::UserSignatureWanted& e) {
    peer.session.user_signature(*user_key().sign(e.algorithm, e.message));
  }
  void answer(Peer& peer, ssh::UserOffered& e) {
    if (e.user == "somebody" && e.key == user_key().public_key()) {
      peer.session.accept_user();
    } else {
      peer.session.refuse_user();
    }
  }
  void answer(Peer& peer, ssh::ChannelRequested& e) {
    peer.requested.push_back(e.id);
    peer.session.accept_channel(e.id);
  }
  void answer(Peer& peer, ssh::ChannelOpened& e) { peer.opened.push_back(e.id); }
  void answer(Peer& peer, ssh::ChannelData& e) {
    Bytes& data = peer.data(e.id);
    data.insert(data.end(), e.data.begin(), e.data.end());
    peer.session.consumed(e.id, e.data.size());
  }
  void answer(Peer& peer, ssh::ChannelClosed& e) { peer.closed.push_back(e.id); }
  void answer(Peer& peer, ssh::Disconnected& e) { peer.ended = std::move(e.error); }

 public:
  Peer client, server;
};

inline void SessionPair::note(Peer& peer, const ssh::Event& event) {
  static constexpr const char* kNames[] = {
      "HostKeyOffered",    "HostSignatureWanted", "KeysAgreed",      "AuthNext",        "UserSignatureWanted",
      "PromptsShown",      "BannerShown",         "UserOffered",     "Authenticated",   "ChannelOpened",
      "ChannelOpenFailed", "ChannelRequested",    "ChannelData",     "ChannelWritable", "ChannelEnded",
      "ChannelClosed",     "GlobalReply",         "GlobalRequested", "Disconnected"};
  static_assert(std::size(kNames) == std::variant_size_v<ssh::Event>);
  peer.log.emplace_back(kNames[event.index()]);
}

}  // namespace culvert::test

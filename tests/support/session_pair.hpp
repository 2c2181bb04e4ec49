// SPDX-License-Identifier: Apache-2.0
// Two SSH machines joined in memory: a client and a server, a link between them that can deliver in pieces of
// any size, slowly or late, and be cut at any moment, and one clock. What every peer has to answer (host key,
// signatures, login) is answered here.
#pragma once

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "crypto/key_algorithms.hpp"
#include "crypto/private_key.hpp"
#include "proto/ssh/session.hpp"
#include "tests/support/event_name.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/memory_pipe.hpp"
#include "tests/support/seeded_random.hpp"
#include "tests/support/test_keys.hpp"

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
    MemoryPipe::Path path;                  ///< both ways; its piece and deliveries are those above
  };

  SessionPair() : SessionPair(Options{}) {}
  explicit SessionPair(Options options, std::uint64_t seed = 1)
      : random_client_(seed),
        random_server_(seed + 1),
        deliveries_left_(options.deliveries),
        client(prepared(std::move(options.client), ssh::Role::client), random_client_, clock.now()),
        server(prepared(std::move(options.server), ssh::Role::server), random_server_, clock.now()) {
    options.path.piece = options.piece;
    to_server_ = to_client_ = MemoryPipe(options.path);
  }

  /// Moves bytes and answers events until nothing moves any more at this moment. Returns how many deliveries
  /// that took.
  std::uint64_t run() {
    const std::uint64_t before = deliveries_;
    for (bool moved = true; moved;) {
      moved = drain(client);
      moved = drain(server) || moved;
      moved = deliver(client, to_server_, server) || moved;
      moved = deliver(server, to_client_, client) || moved;
    }
    return deliveries_ - before;
  }

  /// Lets time pass up to `span`, stopping at every deadline and arrival on the way.
  void pass(Duration span) {
    const Instant end = clock.now() + span;
    for (int turns = 0; turns < 1000000; ++turns) {
      const Instant next =
          std::min({client.session.next_deadline(), server.session.next_deadline(), next_arrival(), end});
      clock.advance_to(next);
      client.session.advance(clock.now());
      server.session.advance(clock.now());
      run();
      if (clock.now() >= end) return;
    }
  }
  /// Lets time pass until `done`, at most `span`.
  template <class Done>
  bool pass_until(Done done, Duration span = std::chrono::seconds(60)) {
    const Instant end = clock.now() + span;
    run();
    while (!done()) {
      if (clock.now() >= end) return false;
      pass(std::clamp<Duration>(next_arrival() - clock.now(), Duration(1), end - clock.now()));
    }
    return true;
  }

  /// Logs in and opens one direct-tcpip channel from the client; the ids on both sides.
  struct Joined {
    ssh::ChannelId client, server;
  };
  std::optional<Joined> join() {
    const auto logged_in = [&] {
      return client.session.is_authenticated() && server.session.is_authenticated();
    };
    const auto over = [&] { return client.ended || server.ended; };
    if (!pass_until([&] { return logged_in() || over(); }) || !logged_in()) return std::nullopt;
    return open();
  }
  /// One more channel.
  std::optional<Joined> open() {
    const std::size_t opened = client.opened.size();
    const auto id = client.session.open_direct_tcpip("target", 80, "127.0.0.1", 1234);
    if (!id || !pass_until([&] { return client.opened.size() > opened || client.ended; }) || client.ended)
      return std::nullopt;
    return Joined{*id, server.requested.back()};
  }

  void cut() { deliveries_left_ = 0; }

  ManualClock clock;

 private:
  static ssh::SessionConfig prepared(ssh::SessionConfig config, ssh::Role role) {
    config.role = role;
    if (config.user.empty()) config.user = "somebody";
    if (role == ssh::Role::server && config.host_keys.empty()) config.host_keys = {host_key().public_key()};
    return config;
  }

  [[nodiscard]] Instant next_arrival() const {
    return std::min(to_server_.next_arrival(clock.now()), to_client_.next_arrival(clock.now()));
  }

  SeededRandom random_client_, random_server_;
  MemoryPipe to_server_, to_client_;
  std::uint64_t deliveries_left_;
  std::uint64_t deliveries_ = 0;

  // Takes up to one piece from `from` to `to`; an exhausted link ends both directions.
  bool deliver(Peer& from, MemoryPipe& link, Peer& to) {
    if (deliveries_left_ == 0) {
      if (!from.session.output().empty())
        from.session.consume_output(from.session.output().size(), clock.now());
      from.session.commit_end(clock.now());
      to.session.commit_end(clock.now());
      return !from.ended || !to.ended;
    }
    bool moved = false;
    if (const ByteView output = from.session.output(); !output.empty()) {
      if (const std::size_t taken = link.write(output, clock.now()); taken > 0) {
        from.session.consume_output(taken, clock.now());
        moved = true;
      }
    }
    const ByteView piece = link.arrived(clock.now());
    if (piece.empty()) {
      const bool end = from.ended && !to.ended && link.empty() && from.session.output().empty();
      if (end) to.session.commit_end(clock.now());
      return moved || end;
    }
    --deliveries_left_;
    ++deliveries_;
    const MutableBytes room = to.session.prepare(piece.size());
    std::copy(piece.begin(), piece.end(), room.begin());
    to.session.commit(piece.size(), clock.now());
    link.consume(piece.size());
    return true;
  }

  bool drain(Peer& peer) {
    bool any = false;
    while (auto event = peer.session.next_event()) {
      any = true;
      peer.log.emplace_back(name_of(*event));
      if (peer.on_event && peer.on_event(*event)) continue;
      std::visit([&](auto& e) { answer(peer, e); }, *event);
    }
    return any;
  }

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
    peer.session.user_signature(*user_key().sign(crypto::signature_of(e.algorithm), e.message));
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

}  // namespace culvert::test

// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/session.hpp"

#include <map>

#include <gtest/gtest.h>

#include "crypto/algorithms.hpp"
#include "tests/support/session_pair.hpp"

namespace culvert::ssh {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::Peer;
using test::SessionPair;

Bytes pattern(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + (i >> 8));
  return bytes;
}

// Sends all of `data` from the client as credit and the queue allow.
void send_all(SessionPair& pair, ChannelId id, const Bytes& data) {
  std::size_t sent = 0;
  for (int turns = 0; turns < 100000 && sent < data.size() && !pair.client.session.is_closed(); ++turns) {
    sent += pair.client.session.send(id, ByteView(data).subspan(sent));
    pair.run();
  }
}

TEST(Session, LogsInAndCarriesAChannel) {
  SessionPair pair;
  const auto joined = pair.join();
  ASSERT_TRUE(joined) << (pair.client.ended ? pair.client.ended->message : "")
                      << (pair.server.ended ? pair.server.ended->message : "");
  const Bytes data = pattern(5 << 20);
  send_all(pair, joined->client, data);
  EXPECT_EQ(pair.server.data(joined->server), data);

  pair.client.session.send_eof(joined->client);
  pair.run();
  EXPECT_EQ(pair.server.log.back(), "ChannelEnded");
  const Bytes answer = pattern(1000);
  EXPECT_EQ(pair.server.session.send(joined->server, answer),
            answer.size());  // half-closed: the other way goes on
  pair.run();
  EXPECT_EQ(pair.client.data(joined->client), answer);
  pair.server.session.close(joined->server);
  pair.run();
  EXPECT_EQ(pair.client.closed.size(), 1u);
  EXPECT_EQ(pair.server.closed.size(), 1u);
  EXPECT_EQ(pair.client.session.channel_count(), 0u);
}

TEST(Session, EveryAlgorithmWorks) {
  const auto check = [](AlgorithmLists lists) {
    SessionPair::Options options;
    options.client.algorithms = lists;
    SessionPair pair(std::move(options));
    const auto joined = pair.join();
    ASSERT_TRUE(joined);
    const Bytes data = pattern(200000);
    send_all(pair, joined->client, data);
    EXPECT_EQ(pair.server.data(joined->server), data);
    pair.client.session.request_rekey();
    pair.run();
    pair.server.session.request_rekey();
    pair.run();
    send_all(pair, joined->client, data);
    EXPECT_EQ(pair.server.data(joined->server).size(), 2 * data.size());
    EXPECT_EQ(std::count(pair.client.log.begin(), pair.client.log.end(), "KeysAgreed"), 3);
  };
  for (const auto& kex : crypto::key_exchanges()) {
    SCOPED_TRACE(kex.name);
    check({.key_exchanges = {std::string(kex.name)}, .host_keys = {}, .ciphers = {}, .macs = {}});
  }
  for (const auto& cipher : crypto::ciphers()) {
    for (const auto& mac : crypto::macs()) {
      SCOPED_TRACE(std::string(cipher.name) + " " + std::string(mac.name));
      check({.key_exchanges = {"curve25519-sha256"},
             .host_keys = {},
             .ciphers = {std::string(cipher.name)},
             .macs = {std::string(mac.name)}});
    }
  }
}

TEST(Session, BytesMayComeOneAtATime) {
  SessionPair::Options options;
  options.piece = 1;
  SessionPair pair(std::move(options));
  const auto joined = pair.join();
  ASSERT_TRUE(joined);
  const Bytes data = pattern(3000);
  send_all(pair, joined->client, data);
  EXPECT_EQ(pair.server.data(joined->server), data);
}

// ---- many at once

// Sends on any number of channels of one peer, as they may, and then EOF.
class Sender {
 public:
  explicit Sender(Peer& peer) : peer_(peer) {}

  void start(ChannelId id, Bytes data) { left_[id] = {std::move(data), 0}; }
  // For what the peer reports.
  void on_event(const Event& event) {
    if (const auto* opened = std::get_if<ChannelOpened>(&event)) go_on(opened->id);
    if (const auto* writable = std::get_if<ChannelWritable>(&event)) go_on(writable->id);
  }
  void go_on(ChannelId id) {
    const auto found = left_.find(id);
    if (found == left_.end()) return;
    auto& [data, sent] = found->second;
    sent += peer_.session.send(id, ByteView(data).subspan(sent));
    if (sent < data.size()) return;
    peer_.session.send_eof(id);
    left_.erase(found);
  }
  [[nodiscard]] std::size_t unfinished() const { return left_.size(); }

 private:
  Peer& peer_;
  std::map<ChannelId, std::pair<Bytes, std::size_t>> left_;
};

TEST(Session, OneSilentTargetAndOneLazyReaderStopNobody) {
  constexpr std::uint32_t kChannels = 100;
  constexpr ChannelId kSilent = 13, kLazy = 57;  // both sides count alike here
  constexpr std::size_t kSize = 400'000;         // more than a window
  SessionPair pair;
  Sender sender(pair.client);
  pair.client.on_event = [&](const Event& event) {
    sender.on_event(event);
    return false;
  };
  std::size_t lazy_got = 0;
  pair.server.on_event = [&](const Event& event) {
    if (const auto* requested = std::get_if<ChannelRequested>(&event)) return requested->id == kSilent;
    if (const auto* ended = std::get_if<ChannelEnded>(&event)) pair.server.session.close(ended->id);
    const auto* data = std::get_if<ChannelData>(&event);
    if (data == nullptr || data->id != kLazy) return false;
    lazy_got += data->data.size();
    return true;
  };
  ASSERT_TRUE(pair.pass_until([&] { return pair.client.session.is_authenticated(); }));
  const Bytes data = pattern(kSize);
  for (std::uint32_t i = 0; i < kChannels; ++i) {
    const auto id = pair.client.session.open_direct_tcpip("target", i, "127.0.0.1", 1);
    ASSERT_TRUE(id);
    sender.start(*id, data);
  }
  ASSERT_TRUE(pair.pass_until([&] { return pair.client.closed.size() == kChannels - 2; }));
  EXPECT_FALSE(pair.client.ended || pair.server.ended);
  EXPECT_EQ(sender.unfinished(), 2u);
  EXPECT_EQ(pair.server.session.channel_count(), 2u);
  for (ChannelId id = 0; id < kChannels; ++id) {
    if (id != kSilent && id != kLazy) EXPECT_TRUE(pair.server.data(id) == data) << id;
  }
  EXPECT_LE(lazy_got, Limits{}.window_initial);
  EXPECT_GE(lazy_got, Limits{}.window_min);

  pair.client.session.close(kLazy);  // and they can be given up
  pair.client.session.close(kSilent);
  pair.server.session.refuse_channel(kSilent, OpenFailure::connect_failed, "timed out");
  pair.run();
  EXPECT_EQ(pair.server.session.channel_count(), 1u) << "what the lazy one was sent may still be taken";
  EXPECT_EQ(pair.client.session.channel_count(), 1u) << "and so its sender is not told that it was";
  pair.server.session.close(kLazy);
  pair.run();
  EXPECT_EQ(pair.client.session.channel_count(), 0u);
  EXPECT_EQ(pair.server.session.channel_count(), 0u);
}

// One byte of window, one byte of queue, nothing to share, new keys for every few packets: slow, but it
// moves.
TEST(Session, EveryBoundAtItsMinimum) {
  for (const std::uint32_t packets : {1u, 2u, 3u}) {
    SCOPED_TRACE(packets);
    SessionPair::Options options;
    Limits& limits = options.client.limits;
    limits.channels = 2;
    limits.window_budget = 2;
    limits.window_min = limits.window_initial = limits.window_max = 1;
    limits.output_min = limits.output_max = 0;
    limits.deferred_output = 256;
    limits.global_requests_pending = 1;
    options.client.rekey.packets = packets;
    options.server.limits = limits;
    options.server.rekey = options.client.rekey;
    SessionPair pair(std::move(options));
    Sender sender(pair.client), answerer(pair.server);
    pair.client.on_event = [&](const Event& event) {
      sender.on_event(event);
      return false;
    };
    pair.server.on_event = [&](const Event& event) {
      answerer.on_event(event);
      if (const auto* requested = std::get_if<ChannelRequested>(&event)) {
        pair.server.session.accept_channel(requested->id);
        answerer.start(requested->id, pattern(40));
        answerer.go_on(requested->id);
        return true;
      }
      return false;
    };
    ASSERT_TRUE(pair.pass_until([&] { return pair.client.session.is_authenticated(); }));
    for (int i = 0; i < 2; ++i) {
      const auto id = pair.client.session.open_direct_tcpip("target", 1, "127.0.0.1", 1);
      ASSERT_TRUE(id);
      sender.start(*id, pattern(60));
    }
    const auto all_there = [&] {
      for (const ChannelId id : {0u, 1u}) {
        if (pair.server.data(id) != pattern(60) || pair.client.data(id) != pattern(40)) return false;
      }
      return true;
    };
    EXPECT_TRUE(pair.pass_until(all_there, seconds(10)));
    EXPECT_FALSE(pair.client.ended) << pair.client.ended->message;
    EXPECT_FALSE(pair.server.ended) << pair.server.ended->message;
  }
}

// ---- links that break

// Three channels, of which one is refused, data both ways, new keys in the middle; the peers' own ends.
std::uint64_t talk(std::uint64_t deliveries) {
  SessionPair::Options options;
  options.piece = 1500;
  options.deliveries = deliveries;
  SessionPair pair(std::move(options));
  Sender sender(pair.client), answerer(pair.server);
  std::size_t asked = 0;
  pair.client.on_event = [&](const Event& event) {
    if (std::holds_alternative<Authenticated>(event)) {
      for (std::uint32_t port = 1; port <= 3; ++port) {
        const auto id = pair.client.session.open_direct_tcpip("target", port, "127.0.0.1", 1);
        if (!id) continue;
        ++asked;
        sender.start(*id, pattern(10'000));
      }
    }
    sender.on_event(event);
    if (std::holds_alternative<ChannelOpenFailed>(event)) pair.client.session.request_rekey();
    return false;
  };
  pair.server.on_event = [&](const Event& event) {
    const auto* requested = std::get_if<ChannelRequested>(&event);
    if (requested != nullptr && requested->port == 2) {
      pair.server.session.refuse_channel(requested->id, OpenFailure::connect_failed, "refused");
      return true;
    }
    if (const auto* ended = std::get_if<ChannelEnded>(&event)) {
      answerer.start(ended->id, pattern(5000));
      answerer.go_on(ended->id);
      pair.server.session.close(ended->id);
    }
    answerer.on_event(event);
    return false;
  };
  const std::uint64_t moved = pair.run();
  if (deliveries == UINT64_MAX) {
    EXPECT_EQ(pair.client.closed.size(), 2u);
    EXPECT_FALSE(pair.client.ended || pair.server.ended);
    return moved;
  }
  for (Peer* peer : {&pair.client, &pair.server}) {
    EXPECT_TRUE(peer->ended);
    EXPECT_EQ(peer->log.back(), "Disconnected");
    EXPECT_EQ(std::count(peer->log.begin(), peer->log.end(), "Disconnected"), 1);
    EXPECT_EQ(peer->session.channel_count(), 0u);
    EXPECT_TRUE(peer->session.next_deadline() == kNever);
  }
  const auto& log = pair.client.log;
  const auto refused = static_cast<std::size_t>(std::count(log.begin(), log.end(), "ChannelOpenFailed"));
  EXPECT_EQ(pair.client.closed.size() + refused, asked) << "somebody waits for an answer to his open";
  EXPECT_EQ(pair.server.closed.size(), pair.server.requested.size());
  return moved;
}

TEST(Session, ALinkMayBreakAnywhere) {
  const std::uint64_t whole = talk(UINT64_MAX);
  EXPECT_GT(whole, 30u);
  for (std::uint64_t i = 0; i < whole && !HasFailure(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(talk(i), i);
  }
}

// ---- long and slow paths

void check_growth(bool upward, Duration delay, std::uint64_t rate, std::size_t size) {
  SessionPair::Options options;
  options.path.delay = delay;
  options.path.bytes_per_second = rate;
  options.path.queue = 4000;  // so that it flows, and not in lumps
  SessionPair pair(std::move(options));
  const auto joined = pair.join();
  ASSERT_TRUE(joined);
  Peer& from = upward ? pair.client : pair.server;
  Peer& to = upward ? pair.server : pair.client;
  Sender sender(from);
  bool ended = false;
  std::size_t most_waiting = 0;
  from.on_event = [&](const Event& event) {
    sender.on_event(event);
    most_waiting = std::max(most_waiting, from.session.output().size());
    return false;
  };
  to.on_event = [&](const Event& event) {
    ended = ended || std::holds_alternative<ChannelEnded>(event);
    return false;
  };
  const Bytes data = pattern(size);
  const Instant start = pair.clock.now();
  sender.start(upward ? joined->client : joined->server, data);
  sender.go_on(upward ? joined->client : joined->server);
  ASSERT_TRUE(pair.pass_until([&] { return ended; }));
  EXPECT_TRUE(to.data(upward ? joined->server : joined->client) == data);
  const Duration at_full_rate(static_cast<std::int64_t>(size * 1'000'000 / rate));
  EXPECT_GE(pair.clock.now() - start, at_full_rate);
  EXPECT_LT(pair.clock.now() - start,
            at_full_rate + 10 * delay);  // some round trips until it is large enough
  EXPECT_LE(most_waiting, 600'000u);     // no seconds of queue
}

TEST(Session, TheWindowGrowsToThePath) {
  for (const bool upward : {true, false}) {
    SCOPED_TRACE(upward ? "to the server" : "to the client");
    check_growth(upward, milliseconds(50), 10'000'000,
                 20'000'000);  // 1 MB in a round trip: 8 s without growing
    check_growth(upward, milliseconds(300), 1'000'000, 10'000'000);  // 0.6 MB: 24 s
  }
}

// What is typed beside bulk waits for tens of milliseconds, not for the bulk.
TEST(Session, AKeystrokeDoesNotWaitForBulk) {
  SessionPair::Options options;
  options.path.delay = milliseconds(10);
  options.path.bytes_per_second = 5'000'000;
  SessionPair pair(std::move(options));
  const auto bulk = pair.join();
  ASSERT_TRUE(bulk);
  const auto keys = pair.open();
  ASSERT_TRUE(keys);
  Sender sender(pair.client);
  std::size_t typed = 0, sent = 0;
  const auto type = [&] {
    if (sent < typed) sent += pair.client.session.send(keys->client, Bytes(typed - sent, 'k'));
  };
  pair.client.on_event = [&](const Event& event) {
    sender.on_event(event);
    const auto* writable = std::get_if<ChannelWritable>(&event);
    if (writable != nullptr && writable->id == keys->client) type();
    return false;
  };
  sender.start(bulk->client, pattern(20'000'000));
  sender.go_on(bulk->client);
  pair.pass(seconds(1));
  for (int i = 0; i < 20; ++i) {
    const Instant start = pair.clock.now();
    ++typed;
    type();
    ASSERT_TRUE(pair.pass_until([&] { return pair.server.data(keys->server).size() == typed; }));
    EXPECT_LT(pair.clock.now() - start, milliseconds(100)) << i;
    pair.pass(milliseconds(20));
  }
  EXPECT_EQ(sender.unfinished(), 1u) << "the bulk was over too early";
}

}  // namespace
}  // namespace culvert::ssh

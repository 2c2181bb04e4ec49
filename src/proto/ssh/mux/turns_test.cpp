// SPDX-License-Identifier: Apache-2.0
// Whose turn it is to send, and that the mux gives back all it takes: the mux alone, on a link that is only
// counters.
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "proto/ssh/mux/mux.hpp"

namespace culvert::ssh {
namespace {

constexpr std::size_t kQueue = 256 * 1024;
constexpr std::size_t kHeads = 200;  // of the messages in a full queue
const Instant kNow{std::chrono::hours(1)};

class FakeLink final : public PacketLink {
 public:
  [[nodiscard]] bool may_send() const override { return open; }
  [[nodiscard]] Result<void> send(ByteView payload) override {
    messages.push_back(copy_of(payload));
    return {};
  }
  void send_data(ByteView head, ByteView body) override {
    ASSERT_TRUE(open);
    pending += head.size() + body.size();
    const auto message = decode<ChannelDataMessage>(joined(head, body));
    ASSERT_TRUE(message);
    sent[message->recipient] += body.size();
    most_pending = std::max(most_pending, pending);
  }
  [[nodiscard]] std::size_t pending_output() const override { return pending; }

  bool open = true;
  std::size_t pending = 0, most_pending = 0;
  std::map<std::uint32_t, std::size_t> sent;  // by the peer's name for the channel
  std::vector<Bytes> messages;

 private:
  static Bytes joined(ByteView head, ByteView body) {
    static Bytes bytes;
    bytes.assign(head.begin(), head.end());
    bytes.insert(bytes.end(), body.begin(), body.end());
    return bytes;
  }
};

class Turns : public ::testing::Test {
 protected:
  // The peer's name for it is `id` + 100.
  ChannelId opened(std::uint32_t window = UINT32_MAX) {
    const ChannelId id = mux_.open("direct-tcpip", {}).value();
    hear(ChannelOpenConfirmationMessage{id, id + 100, window, 32768, Rest{}});
    return id;
  }
  template <class Message>
  std::optional<Event> hear(const Message& message) {
    return mux_.on_message(encoded(message), kNow).value();
  }
  std::size_t send(ChannelId id) { return mux_.send(id, data_); }
  // What the network takes.
  void take(std::size_t n) { link_.pending -= std::min(n, link_.pending); }
  // As a driver does: handles all events, each channel in its turn sends what it can.
  std::vector<ChannelId> give_turns() {
    std::vector<ChannelId> turns;
    while (const auto event = mux_.next_event()) {
      turns.push_back(std::get<ChannelWritable>(*event).id);
      EXPECT_GT(send(turns.back()), 0u) << "a turn for nothing";
    }
    return turns;
  }

  Limits limits_ = {.output_max = kQueue, .output_min = kQueue};
  Timing timing_;
  FakeLink link_;
  Mux mux_{Role::client, limits_, timing_, link_};
  const Bytes data_ = Bytes(1 << 20, 'x');
};

TEST_F(Turns, TheQueueIsBounded) {
  const ChannelId id = opened();
  for (int i = 0; i < 1000; ++i) {
    send(id);
    ASSERT_LE(link_.pending, kQueue + kHeads);
    EXPECT_EQ(mux_.sendable(id), 0u);
    take(10'000);
    give_turns();
  }
  EXPECT_GT(link_.sent[100], 9'000'000u);
}

TEST_F(Turns, AloneOneHasThemAll) {
  const ChannelId id = opened();
  EXPECT_GE(send(id), kQueue - kHeads);
  EXPECT_FALSE(mux_.next_event());
  take(kQueue / 4);
  EXPECT_FALSE(mux_.next_event()) << "more than half is still there";
  take(kQueue / 2);
  EXPECT_EQ(give_turns(), std::vector<ChannelId>{id});
  EXPECT_GT(link_.pending, kQueue - kHeads);
}

TEST_F(Turns, SendersAreServedInOrderAndAlike) {
  constexpr std::size_t kChannels = 5;
  for (std::size_t i = 0; i < kChannels; ++i) send(opened());
  EXPECT_EQ(link_.sent.size(), 1u) << "the first one filled the queue";
  std::vector<ChannelId> order;
  link_.sent.clear();
  for (int i = 0; i < 1000; ++i) {
    take(20'000);
    for (const ChannelId id : give_turns()) order.push_back(id);
  }
  for (std::size_t i = kChannels; i < order.size(); ++i) EXPECT_EQ(order[i], order[i - kChannels]);
  ASSERT_EQ(link_.sent.size(), kChannels);
  const std::size_t alike = 1000 * 20'000 / kChannels;
  for (const auto& [id, bytes] : link_.sent) {
    EXPECT_GT(bytes, alike * 9 / 10) << id;
    EXPECT_LT(bytes, alike * 11 / 10) << id;
  }
}

TEST_F(Turns, NobodyJumpsTheQueue) {
  const ChannelId first = opened(), second = opened();
  send(first);
  EXPECT_EQ(send(second), 0u);
  take(kQueue);
  EXPECT_EQ(mux_.sendable(first), 0u);
  EXPECT_EQ(send(first), 0u) << "there is room, but others wait for it";
  EXPECT_EQ(give_turns(), (std::vector<ChannelId>{first, second}));
}

TEST_F(Turns, AnUnusedTurnIsLost) {
  const ChannelId first = opened(), second = opened();
  send(first), send(second);
  take(kQueue);
  EXPECT_EQ(std::get<ChannelWritable>(*mux_.next_event()).id, first);
  EXPECT_EQ(std::get<ChannelWritable>(*mux_.next_event()).id, second);
  EXPECT_FALSE(mux_.next_event());
  EXPECT_GT(send(first), 0u);  // nobody waits any more
}

TEST_F(Turns, AFullWindowIsNotInTheQueue) {
  const ChannelId full = opened(50'000), other = opened();
  EXPECT_EQ(send(full), 50'000u);
  take(kQueue);
  EXPECT_GT(send(other), 0u);
  for (int i = 0; i < 100; ++i) {
    take(kQueue);
    EXPECT_EQ(give_turns(), std::vector<ChannelId>{other});
  }
  hear(ChannelWindowAdjustMessage{full, 1000});
  take(kQueue);
  EXPECT_EQ(give_turns(), (std::vector<ChannelId>{other, full, other}));
  EXPECT_EQ(link_.sent[100], 51'000u);
}

TEST_F(Turns, WhoClosedWhileWaitingIsSkipped) {
  const ChannelId a = opened(), b = opened(), c = opened(), d = opened();
  for (const ChannelId id : {a, b, c, d}) send(id);
  mux_.close(a);
  mux_.send_eof(b);
  hear(ChannelCloseMessage{c});
  take(kQueue);
  EXPECT_EQ(give_turns(), std::vector<ChannelId>{d});
}

TEST_F(Turns, NoneDuringAKeyExchange) {
  const ChannelId id = opened();
  link_.open = false;
  EXPECT_EQ(send(id), 0u);
  EXPECT_EQ(mux_.sendable(id), 0u);
  EXPECT_FALSE(mux_.next_event());
  link_.open = true;
  EXPECT_EQ(give_turns(), std::vector<ChannelId>{id});
}

// Nobody will take what a channel holds that we closed: it counts no longer, however slow the peer's CLOSE
// is.
TEST_F(Turns, OurCloseGivesBackWhatIsHeld) {
  const ChannelId id = opened();
  const std::uint64_t before = mux_.budget().used();
  hear(ChannelDataMessage{id, ByteView(data_).first(30'000)});
  EXPECT_EQ(mux_.budget().used(), before);
  mux_.close(id);
  EXPECT_EQ(mux_.budget().used(), before - 30'000);
  hear(ChannelDataMessage{id, ByteView(data_).first(30'000)});
  EXPECT_EQ(mux_.budget().used(), before - 60'000);
  hear(ChannelCloseMessage{id});
  EXPECT_EQ(mux_.budget().used(), 0u);
}

// Whatever the peer and the user do in whatever order: no more is granted than there is, all comes back.
TEST_F(Turns, WhatIsTakenIsGivenBack) {
  std::mt19937_64 random(5);
  limits_.channels = 20;
  limits_.window_min = 100;
  limits_.window_initial = 5000;
  limits_.window_max = 100'000;
  limits_.window_budget = 50'000;
  struct Side {
    std::uint64_t granted, arrived = 0, consumed = 0;
    bool closing = false;
  };
  for (int run = 0; run < 30; ++run) {
    std::map<ChannelId, Side> live;
    Instant now = kNow;
    const auto read_credit = [&] {
      for (const Bytes& payload : link_.messages) {
        if (const auto open = decode<ChannelOpenMessage>(payload)) live[open->sender].granted = open->window;
        if (const auto more = decode<ChannelWindowAdjustMessage>(payload))
          live.at(more->recipient - 100).granted += more->bytes;
      }
      link_.messages.clear();
    };
    for (int i = 0; i < 2000; ++i) {
      now += Duration(random() % 20'000);
      link_.open = random() % 8 != 0;
      mux_.reuse_ids();
      mux_.link_ready();
      read_credit();
      const ChannelId id = static_cast<ChannelId>(random() % limits_.channels);
      const auto found = live.find(id);
      if (found == live.end()) {
        const auto opened = mux_.open("direct-tcpip", {});
        ASSERT_EQ(opened.has_value(), live.size() < limits_.channels);
        read_credit();
        hear(ChannelOpenConfirmationMessage{*opened, *opened + 100, 1000, 32768, Rest{}});
        continue;
      }
      Side& side = found->second;
      const std::uint64_t left = side.granted - side.arrived;
      if (random() % 100 == 0 && !side.closing) {
        mux_.close(id);
        side.closing = true;
      } else if (random() % 100 == 0) {
        hear(ChannelCloseMessage{id});
        const std::uint64_t held = side.arrived - side.consumed;
        if (!side.closing && held > 0) random() % 2 == 0 ? mux_.close(id) : mux_.consumed(id, held, now);
        live.erase(found);
      } else if (random() % 2 == 0) {
        const std::size_t size = std::min<std::uint64_t>(random() % (left + 1), 32768);
        hear(ChannelDataMessage{id, ByteView(data_).first(size)});
        side.arrived += size;
      } else if (!side.closing) {
        const std::uint64_t size = random() % (side.arrived - side.consumed + 1);
        mux_.consumed(id, size, now);
        side.consumed += size;
      }
      read_credit();
      std::uint64_t footprint = 0;
      for (const auto& [_, s] : live) footprint += s.granted - s.consumed;
      ASSERT_LE(mux_.budget().used(), limits_.window_budget);
      const bool none_closing = std::ranges::none_of(live, [](const auto& l) { return l.second.closing; });
      if (none_closing) ASSERT_LE(footprint, limits_.window_budget);
    }
    for (const auto& [id, side] : live) {
      hear(ChannelCloseMessage{id});
      mux_.close(id);  // and nobody wants what it holds
    }
    EXPECT_EQ(mux_.budget().used(), 0u);
    EXPECT_EQ(mux_.channel_count(), 0u);
    link_.messages.clear();
  }
}

}  // namespace
}  // namespace culvert::ssh

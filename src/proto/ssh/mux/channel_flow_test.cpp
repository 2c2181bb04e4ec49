// SPDX-License-Identifier: Apache-2.0
// Scripts of data and its credit, in both directions (RFC 4254 section 5.2).
#include <gtest/gtest.h>

#include "tests/support/conversation.hpp"

namespace culvert::ssh {
namespace {

using test::Conversation;
using test::run_everywhere;

void ends_channel_and_session(Conversation& c, std::string_view text) {
  c.expect_event<ChannelClosed>();
  c.expect_protocol_error(text);
}

Conversation::Options window_of(std::uint32_t size) {
  Conversation::Options options;
  options.machine.limits.window_initial = options.machine.limits.window_min = size;
  return options;
}

void send(Conversation& c, ChannelId id, std::size_t offered, std::size_t taken) {
  c.command([=](Session& s) { EXPECT_EQ(s.send(id, Bytes(offered, 'x')), taken); });
}
void expect_data(Conversation& c, std::size_t size) {
  c.expect_message<ChannelDataMessage>([=](const ChannelDataMessage& m) { EXPECT_EQ(m.data.size(), size); });
}
void expect_credit(Conversation& c, std::uint32_t bytes) {
  c.expect_message<ChannelWindowAdjustMessage>([=](const ChannelWindowAdjustMessage& m) {
    EXPECT_EQ(m.recipient, 7u);
    EXPECT_EQ(m.bytes, bytes);
  });
}
void data(Conversation& c, ChannelId id, std::size_t size) {
  c.send(ChannelDataMessage{id, Bytes(size, 'y')});
  c.expect_event<ChannelData>([=](ChannelData& e) {
    EXPECT_EQ(e.id, id);
    EXPECT_EQ(e.data.size(), size);
    EXPECT_FALSE(e.is_extended);
  });
}
void consumed(Conversation& c, ChannelId id, std::size_t size) { c.consumed(id, size); }

// ---- what the peer may send

TEST(ChannelFlow, TheWindowIsTheLimit) {
  run_everywhere(
      Role::client,
      [](Conversation& c) {
        c.connect();
        const ChannelId id = c.opened(7);
        data(c, id, 999);
        data(c, id, 1);
        c.send(ChannelDataMessage{id, {}});
        c.expect_silence();
        c.send(ChannelDataMessage{id, as_bytes("x")});
        ends_channel_and_session(c, "more channel data than the window");
      },
      window_of(1000));
  run_everywhere(
      Role::server,
      [](Conversation& c) {
        c.connect();
        const ChannelId id = c.accepted(7);
        c.send(ChannelExtendedDataMessage{id, 1, Bytes(600)});
        c.expect_event<ChannelData>([](ChannelData& e) { EXPECT_TRUE(e.is_extended); });
        c.send(ChannelExtendedDataMessage{id, 1, Bytes(401)});  // both kinds share it
        ends_channel_and_session(c, "more channel data than the window");
      },
      window_of(1000));
}

TEST(ChannelFlow, ThePacketSizeIsTheLimit) {
  for (const bool extended : {false, true}) {
    test::run(Role::client, [=](Conversation& c) {
      c.connect();
      const ChannelId id = c.opened(7);
      data(c, id, 32 * 1024);
      const Bytes more(32 * 1024 + 1);
      c.send_raw(extended ? encoded(ChannelExtendedDataMessage{id, 1, more})
                          : encoded(ChannelDataMessage{id, more}));
      ends_channel_and_session(c, "larger than the packet size");
    });
  }
}

TEST(ChannelFlow, CreditComesBackForWhatWasTaken) {
  for (const Role role : {Role::client, Role::server}) {
    run_everywhere(
        role,
        [](Conversation& c) {
          c.connect();
          const ChannelId id = c.opened(7);
          data(c, id, 300);
          data(c, id, 100);
          c.expect_silence();
          consumed(c, id, 100);  // not worth a message
          c.expect_silence();
          consumed(c, id, 150);
          expect_credit(c, 250);
          consumed(c, id, 150);
          c.expect_silence();
          data(c, id, 850);  // 600 of the first window, and the credit
          consumed(c, id, 0);
          c.expect_silence();
          consumed(c, id, 850);
          expect_credit(c, 1000);
          data(c, id, 1000);
          c.send(ChannelDataMessage{id, as_bytes("x")});
          ends_channel_and_session(c, "more channel data than the window");
        },
        window_of(1000));
  }
}

// Larger ones for a peer that does not read ahead.
void credit_comes_in_pieces(const std::string& identification, std::size_t piece) {
  constexpr std::size_t kPacket = 32 * 1024;
  Conversation::Options options = window_of(16u << 20);
  options.identification = identification;
  test::run(
      Role::client,
      [=](Conversation& c) {
        c.connect();
        const ChannelId id = c.opened(7);
        data(c, id, kPacket);
        consumed(c, id, kPacket);
        c.expect_message<GlobalRequestMessage>();  // how long is the path?
        for (std::size_t n = 2 * kPacket; n < piece; n += kPacket) {
          data(c, id, kPacket);
          consumed(c, id, kPacket);
          c.expect_silence();
        }
        data(c, id, kPacket);
        consumed(c, id, kPacket);
        expect_credit(c, static_cast<std::uint32_t>(piece));
      },
      std::move(options));
}

TEST(ChannelFlow, ALargeWindowsCreditComesInPieces) {
  credit_comes_in_pieces("SSH-2.0-culvert_0.1", 1u << 20);
  credit_comes_in_pieces(Conversation::Options().identification, 256u << 10);
}

TEST(ChannelFlow, ExtendedDataThrownAwayIsCreditedAsWell) {
  run_everywhere(
      Role::client,
      [](Conversation& c) {
        c.connect();
        const ChannelId id = c.opened(7);
        for (int i = 0; i < 3; ++i) {
          c.send(ChannelExtendedDataMessage{id, 1, Bytes(900)});
          c.expect_event<ChannelData>([](ChannelData& e) { EXPECT_TRUE(e.is_extended); });
          consumed(c, id, 900);
          expect_credit(c, 900);
        }
      },
      window_of(1000));
}

TEST(ChannelFlow, AReaderThatTakesNothingIsGivenNothing) {
  run_everywhere(
      Role::client,
      [](Conversation& c) {
        c.connect();
        const ChannelId slow = c.opened(6);
        const ChannelId quick = c.opened(7);
        data(c, slow, 1000);
        for (int i = 0; i < 3; ++i) {
          data(c, quick, 1000);
          consumed(c, quick, 1000);
          expect_credit(c, 1000);
        }
      },
      window_of(1000));
}

// What a closed channel held is free for others.
TEST(ChannelFlow, AClosedChannelGivesItsShareBack) {
  Conversation::Options options = window_of(10'000);
  options.machine.limits.channels = 1;
  options.machine.limits.window_budget = 10'000;
  test::run(
      Role::client,
      [](Conversation& c) {
        c.connect();
        for (int i = 0; i < 3; ++i) {
          const ChannelId id = c.opened(7);
          data(c, id, 6000);
          c.close(id);
          c.expect_message<ChannelCloseMessage>();
          c.send(ChannelDataMessage{id, Bytes(4000)});
          c.send(ChannelCloseMessage{id});
          c.expect_event<ChannelClosed>();
        }
      },
      options);
}

// ---- what we may send

TEST(ChannelFlow, WeKeepToThePeersWindow) {
  for (const Role role : {Role::client, Role::server}) {
    run_everywhere(role, [](Conversation& c) {
      c.connect();
      const ChannelId id = c.accepted(7, 100);
      send(c, id, 30, 30);
      expect_data(c, 30);
      send(c, id, 100, 70);
      expect_data(c, 70);
      send(c, id, 30, 0);
      c.expect_silence();
      c.send(ChannelWindowAdjustMessage{id, 20});
      c.expect_event<ChannelWritable>([=](ChannelWritable& e) { EXPECT_EQ(e.id, id); });
      c.command([=](Session& s) { EXPECT_EQ(s.sendable(id), 20u); });
      send(c, id, 30, 20);
      expect_data(c, 20);
    });
  }
}

TEST(ChannelFlow, WeKeepToThePeersPacketSize) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.connect();
    const ChannelId id = c.opened(7, 1 << 20, 100);
    send(c, id, 250, 250);
    expect_data(c, 100);
    expect_data(c, 100);
    expect_data(c, 50);
    const ChannelId tiny = c.opened(8, 3, 1);
    send(c, tiny, 3, 3);
    for (int i = 0; i < 3; ++i) expect_data(c, 1);
  });
  test::run(Role::client, [](Conversation& c) {  // and to what is sensible
    c.connect();
    const ChannelId id = c.opened(7, 1 << 20, UINT32_MAX);
    send(c, id, 80'000, 80'000);
    expect_data(c, 32768);
    expect_data(c, 32768);
    expect_data(c, 80'000 - 2 * 32768);
  });
}

TEST(ChannelFlow, NoWindowAtAll) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.connect();
    const ChannelId id = c.opened(7, 0);
    send(c, id, 5, 0);
    c.send(ChannelWindowAdjustMessage{id, 0});  // means nothing
    c.expect_silence();
    c.send(ChannelWindowAdjustMessage{id, 5});
    c.expect_event<ChannelWritable>();
    send(c, id, 5, 5);
    expect_data(c, 5);
  });
}

TEST(ChannelFlow, WindowsPassNoLimit) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.connect();
    const ChannelId id = c.opened(7, UINT32_MAX - 10);
    c.send(ChannelWindowAdjustMessage{id, 10});
    send(c, id, 1, 1);
    expect_data(c, 1);
    c.send(ChannelWindowAdjustMessage{id, 1});
    c.expect_silence();
    c.send(ChannelWindowAdjustMessage{id, 1});
    ends_channel_and_session(c, "passed 2^32 - 1");
  });
}

// ---- ChannelWritable comes exactly when it was wanted

TEST(ChannelFlow, WritableOnlyToWhoWasTurnedAway) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.connect();
    const ChannelId id = c.opened(7, 100);
    c.send(ChannelWindowAdjustMessage{id, 10});
    c.expect_silence();
    send(c, id, 110, 110);  // all that was offered: nothing more is wanted
    expect_data(c, 110);
    c.send(ChannelWindowAdjustMessage{id, 10});
    c.expect_silence();
    send(c, id, 20, 10);
    expect_data(c, 10);
    c.expect_silence();
    c.send(ChannelWindowAdjustMessage{id, 10});
    c.expect_event<ChannelWritable>();
    c.send(ChannelWindowAdjustMessage{id, 10});  // said already
    c.expect_silence();
    send(c, id, 0, 0);
    c.send(ChannelWindowAdjustMessage{id, 10});
    c.expect_silence();
  });
}

TEST(ChannelFlow, WritableNeverToAChannelThatEnded) {
  for (const bool closes : {true, false}) {
    run_everywhere(Role::client, [=](Conversation& c) {
      c.connect();
      const ChannelId id = c.opened(7, 10);
      send(c, id, 20, 10);
      expect_data(c, 10);
      c.command([=](Session& s) { closes ? s.close(id) : s.send_eof(id); });
      c.expect_payload([](ByteView) {});
      c.send(ChannelWindowAdjustMessage{id, 10});
      c.expect_silence();
    });
  }
}

TEST(ChannelFlow, AFullWindowStopsNobodyElse) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.connect();
    const ChannelId full = c.opened(6, 10);
    const ChannelId other = c.opened(7, 1000);
    send(c, full, 20, 10);
    expect_data(c, 10);
    for (int i = 0; i < 5; ++i) {
      send(c, other, 100, 100);
      expect_data(c, 100);
    }
    c.send(ChannelWindowAdjustMessage{full, 10});
    c.expect_event<ChannelWritable>([=](ChannelWritable& e) { EXPECT_EQ(e.id, full); });
  });
}

}  // namespace
}  // namespace culvert::ssh

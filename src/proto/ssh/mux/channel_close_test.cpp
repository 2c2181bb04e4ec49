// SPDX-License-Identifier: Apache-2.0
// Scripts of how channels end: EOF in each direction, CLOSE from either side, and both at once.
#include <gtest/gtest.h>

#include "tests/support/conversation.hpp"

namespace culvert::ssh {
namespace {

using test::Conversation;
using test::kRoles;
using test::run_everywhere;

// In both roles, on a channel that we and on one that the peer asked for. The peer's name for it: 7.
void on_a_channel(const std::function<void(Conversation&, ChannelId)>& script,
                  const Conversation::Options& options = {}) {
  for (const Role role : kRoles) {
    for (const bool ours : {true, false}) {
      run_everywhere(
          role,
          [&](Conversation& c) {
            c.connect();
            const ChannelId id = ours ? c.opened(7) : c.accepted(7);
            script(c, id);
          },
          options);
    }
  }
}

// The channel is closed for the peer, and stays until they are consumed.
void peer_leaves_three_bytes(Conversation& c, ChannelId id) {
  c.as_peer([=](test::ScriptedPeer& p) {
    p.send(ChannelDataMessage{id, as_bytes("one")});
    p.send(ChannelCloseMessage{id});
  });
  c.expect_event<ChannelData>();
  c.expect_event<ChannelClosed>();
}

TEST(ChannelClose, ByUs) {
  on_a_channel([](Conversation& c, ChannelId id) {
    c.close(id);
    c.expect_message<ChannelCloseMessage>([](const ChannelCloseMessage& m) { EXPECT_EQ(m.recipient, 7u); });
    c.command([=](Session& s) {
      s.close(id);
      s.send_eof(id);
      s.consumed(id, 0);
      EXPECT_EQ(s.sendable(id), 0u);
      EXPECT_EQ(s.send(id, as_bytes("late")), 0u);
      EXPECT_EQ(s.channel_count(), 1u);  // until the peer agrees
    });
    c.expect_silence();
    c.send(ChannelCloseMessage{id});
    c.expect_event<ChannelClosed>([=](ChannelClosed& e) { EXPECT_EQ(e.id, id); });
    c.close(id);
    c.expect_silence();
  });
}

TEST(ChannelClose, ByThePeer) {
  on_a_channel([](Conversation& c, ChannelId id) {
    c.send(ChannelCloseMessage{id});
    c.expect_message<ChannelCloseMessage>([](const ChannelCloseMessage& m) { EXPECT_EQ(m.recipient, 7u); });
    c.expect_event<ChannelClosed>([=](ChannelClosed& e) { EXPECT_EQ(e.id, id); });
    c.close(id);
    c.expect_silence();
    c.send(ChannelCloseMessage{id});
    c.expect_protocol_error("which is not open");
  });
}

// RFC 4254 section 5.3: a close is an end, too. A culvert means a reset by it.
TEST(ChannelClose, WithoutAnEndIsAResetByACulvertAlone) {
  for (const bool by_culvert : {false, true}) {
    for (const bool behind_end : {false, true}) {
      Conversation::Options options;
      if (by_culvert) options.identification = "SSH-2.0-culvert_0.1";
      const auto script = [&](Conversation& c, ChannelId id) {
        c.as_peer([=](test::ScriptedPeer& p) {
          p.send(ChannelDataMessage{id, as_bytes("last words")});
          if (behind_end) p.send(ChannelEofMessage{id});
          p.send(ChannelCloseMessage{id});
        });
        c.expect_event<ChannelData>();
        if (behind_end) c.expect_event<ChannelEnded>();
        c.expect_event<ChannelClosed>(
            [=](ChannelClosed& e) { EXPECT_EQ(e.is_cut, by_culvert && !behind_end); });
        c.expect_silence();
        c.consumed(id, 10);
        c.expect_message<ChannelCloseMessage>();
      };
      on_a_channel(script, options);
    }
  }
}

TEST(ChannelClose, TheEndOfTheSessionCutsWhatHasNotEnded) {
  on_a_channel([](Conversation& c, ChannelId id) {
    c.send(DisconnectMessage{11, "", ""});
    c.expect_event<ChannelClosed>([=](ChannelClosed& e) { EXPECT_TRUE(e.is_cut); });
    c.expect_end(Errc::closed, "the peer disconnected");
    c.close(id);
  });
  on_a_channel([](Conversation& c, ChannelId id) {
    c.send(ChannelEofMessage{id});
    c.expect_event<ChannelEnded>();
    c.send(DisconnectMessage{11, "", ""});
    c.expect_event<ChannelClosed>([=](ChannelClosed& e) { EXPECT_FALSE(e.is_cut); });
    c.expect_end(Errc::closed);
  });
}

// The peer goes by the answer: by then all that it sent has arrived, or nobody wants it.
TEST(ChannelClose, IsAnsweredWhenAllWasTaken) {
  on_a_channel([](Conversation& c, ChannelId id) {
    c.as_peer([=](test::ScriptedPeer& p) {
      p.send(ChannelDataMessage{id, as_bytes("one")});
      p.send(ChannelDataMessage{id, as_bytes("two")});
      p.send(ChannelEofMessage{id});
      p.send(ChannelCloseMessage{id});
    });
    c.expect_event<ChannelData>([](ChannelData& e) { EXPECT_EQ(as_text(e.data), "one"); });
    c.expect_event<ChannelData>([](ChannelData& e) { EXPECT_EQ(as_text(e.data), "two"); });
    c.expect_event<ChannelEnded>();
    c.expect_event<ChannelClosed>();
    c.consumed(id, 5);
    c.command([=](Session& s) {
      EXPECT_EQ(s.send(id, as_bytes("late")), 0U);
      s.send_eof(id);
    });
    c.expect_silence();
    c.send(ChannelRequestMessage{id, "keepalive@openssh.com", true, Rest{}});
    c.expect_message<ChannelFailureMessage>();
    c.consumed(id, 1);
    c.expect_message<ChannelCloseMessage>();
    c.command([=](Session& s) {
      EXPECT_EQ(s.channel_count(), 0U);
      s.close(id);
    });
    c.expect_silence();
  });
}

TEST(ChannelClose, IsAnsweredWhenNobodyWantsTheRest) {
  on_a_channel([](Conversation& c, ChannelId id) {
    peer_leaves_three_bytes(c, id);
    c.expect_silence();
    c.close(id);
    c.expect_message<ChannelCloseMessage>();
    c.command([](Session& s) { EXPECT_EQ(s.channel_count(), 0U); });
    c.expect_silence();
  });
}

TEST(ChannelClose, OneThatWaitsForItsAnswerTakesItsPlaceAndNoCredit) {
  Conversation::Options options;
  options.machine.limits.channels = 1;
  const auto script = [](Conversation& c, ChannelId id) {
    peer_leaves_three_bytes(c, id);
    c.command([](Session& s) { EXPECT_FALSE(s.open_direct_tcpip("a", 1, "b", 2)); });
    c.consumed(id, 3);
    c.expect_message<ChannelCloseMessage>();
    c.open();
    c.expect_message<ChannelOpenMessage>();
    c.send(DisconnectMessage{11, "", ""});
    c.expect_event<ChannelClosed>();
    c.expect_end(Errc::closed);
  };
  on_a_channel(script, options);
}

TEST(ChannelClose, AWaitingOneEndsWithTheSessionWithoutAWord) {
  on_a_channel([](Conversation& c, ChannelId id) {
    peer_leaves_three_bytes(c, id);
    c.send(DisconnectMessage{11, "", ""});
    c.expect_end(Errc::closed);
  });
}

// sshd asks on the first channel that it has, and that may be one whose close it waits for.
TEST(ChannelClose, ARequestThatComesTooLateIsPassedOver) {
  on_a_channel([](Conversation& c, ChannelId id) {
    c.send(ChannelCloseMessage{id});
    c.expect_event<ChannelClosed>();
    c.expect_message<ChannelCloseMessage>();
    c.send(ChannelRequestMessage{id, "keepalive@openssh.com", true, Rest{}});
    c.expect_silence();
    c.send(ChannelRequestMessage{id + 1000, "keepalive@openssh.com", true, Rest{}});
    c.expect_protocol_error("which is not open");
  });
}

// The peer had said all this before it heard of our CLOSE.
TEST(ChannelClose, WhatCrossesOurCloseIsThrownAway) {
  on_a_channel([](Conversation& c, ChannelId id) {
    c.close(id);
    c.send(ChannelDataMessage{id, as_bytes("data")});
    c.send(ChannelExtendedDataMessage{id, 1, as_bytes("errors")});
    c.send(ChannelWindowAdjustMessage{id, 1000});
    c.send(ChannelRequestMessage{id, "exit-status", true, Rest{}});
    c.send(ChannelEofMessage{id});
    c.expect_message<ChannelCloseMessage>();
    c.expect_silence();
    c.send(ChannelCloseMessage{id});
    c.expect_event<ChannelClosed>();
  });
}

// ... but the rules hold on.
TEST(ChannelClose, RulesHoldOnAClosingChannel) {
  const auto breaks = [](const std::function<Bytes(ChannelId)>& payload, std::string_view text) {
    on_a_channel([&](Conversation& c, ChannelId id) {
      c.close(id);
      c.expect_message<ChannelCloseMessage>();
      c.send(ChannelEofMessage{id});
      c.send_raw(payload(id));
      c.expect_event<ChannelClosed>();
      c.expect_protocol_error(text);
    });
  };
  breaks([](ChannelId id) { return encoded(ChannelEofMessage{id}); }, "ended twice");
  breaks([](ChannelId id) { return encoded(ChannelDataMessage{id, as_bytes("x")}); }, "behind the end");
  breaks([](ChannelId id) { return encoded(ChannelWindowAdjustMessage{id, UINT32_MAX}); }, "2^32 - 1");
}

TEST(ChannelClose, WhileOpening) {
  for (const Role role : kRoles) {
    run_everywhere(role, [](Conversation& c) {
      c.connect();
      const ChannelId id = c.open();
      c.expect_message<ChannelOpenMessage>();
      c.close(id);
      c.close(id);
      c.expect_silence();  // it has no name on the other side yet
      c.send(ChannelOpenConfirmationMessage{id, 7, 1000, 1000, Rest{}});
      c.expect_message<ChannelCloseMessage>([](const ChannelCloseMessage& m) { EXPECT_EQ(m.recipient, 7u); });
      c.send(ChannelDataMessage{id, as_bytes("the target's greeting")});
      c.expect_silence();
      c.send(ChannelCloseMessage{id});
      c.expect_event<ChannelClosed>([=](ChannelClosed& e) { EXPECT_EQ(e.id, id); });
    });
    run_everywhere(role, [](Conversation& c) {
      c.connect();
      const ChannelId id = c.open();
      c.expect_message<ChannelOpenMessage>();
      c.close(id);
      c.send(ChannelOpenFailureMessage{id, 2, "refused", ""});
      c.expect_event<ChannelOpenFailed>([=](ChannelOpenFailed& e) { EXPECT_EQ(e.id, id); });
      c.expect_silence();
    });
  }
}

TEST(ChannelClose, IdsAreUsedAgainOnlyThen) {
  for (const Role role : kRoles) {
    run_everywhere(role, [](Conversation& c) {
      c.connect();
      const ChannelId first = c.opened(7);
      c.close(first);
      c.expect_message<ChannelCloseMessage>();
      const ChannelId second = c.opened(8);
      if (c.goes_on()) EXPECT_NE(second, first);
      c.send(ChannelCloseMessage{first});
      c.expect_event<ChannelClosed>();
      const ChannelId third = c.accepted(7);  // the peer as well
      if (c.goes_on()) EXPECT_EQ(third, first);
      c.command([=](Session& s) { EXPECT_EQ(s.send(third, as_bytes("new")), 3u); });
      c.expect_message<ChannelDataMessage>([](const ChannelDataMessage& m) { EXPECT_EQ(m.recipient, 7u); });
    });
  }
}

TEST(ChannelClose, UnknownChannels) {
  const auto unknown = [](const std::function<Bytes(std::uint32_t)>& payload) {
    for (const std::uint32_t id : {0u, 1u, UINT32_MAX}) {
      test::run(Role::client, [&](Conversation& c) {
        c.connect();
        c.send_raw(payload(id));
        c.expect_protocol_error(fmt::format("channel {}, which is not open", id));
      });
    }
  };
  unknown([](std::uint32_t id) { return encoded(ChannelDataMessage{id, as_bytes("x")}); });
  unknown([](std::uint32_t id) { return encoded(ChannelExtendedDataMessage{id, 1, as_bytes("x")}); });
  unknown([](std::uint32_t id) { return encoded(ChannelWindowAdjustMessage{id, 1}); });
  unknown([](std::uint32_t id) { return encoded(ChannelEofMessage{id}); });
  unknown([](std::uint32_t id) { return encoded(ChannelCloseMessage{id}); });
  unknown([](std::uint32_t id) { return encoded(ChannelRequestMessage{id, "x", false, Rest{}}); });
}

// ---- EOF (RFC 4254 section 5.3)

TEST(ChannelEof, Ours) {
  on_a_channel([](Conversation& c, ChannelId id) {
    c.command([=](Session& s) {
      EXPECT_EQ(s.send(id, as_bytes("last")), 4u);
      s.send_eof(id);
      s.send_eof(id);
      EXPECT_EQ(s.sendable(id), 0u);
      EXPECT_EQ(s.send(id, as_bytes("late")), 0u);
    });
    c.expect_message<ChannelDataMessage>();
    c.expect_message<ChannelEofMessage>([](const ChannelEofMessage& m) { EXPECT_EQ(m.recipient, 7u); });
    c.send(ChannelWindowAdjustMessage{id, 1000});
    c.expect_silence();
    c.send(ChannelDataMessage{id, as_bytes("answer")});
    c.expect_event<ChannelData>([](ChannelData& e) { EXPECT_EQ(as_text(e.data), "answer"); });
    c.close(id);
    c.expect_message<ChannelCloseMessage>();
  });
}

TEST(ChannelEof, ThePeers) {
  on_a_channel([](Conversation& c, ChannelId id) {
    c.send(ChannelDataMessage{id, as_bytes("last")});
    c.send(ChannelEofMessage{id});
    c.expect_event<ChannelData>();
    c.expect_event<ChannelEnded>([=](ChannelEnded& e) { EXPECT_EQ(e.id, id); });
    c.command([=](Session& s) {
      EXPECT_EQ(s.send(id, as_bytes("answer")), 6u);
      s.send_eof(id);
    });
    c.expect_message<ChannelDataMessage>();
    c.expect_message<ChannelEofMessage>();
    c.expect_silence();  // both ends have ended: whoever closes it says so
  });
}

TEST(ChannelEof, NothingComesBehindIt) {
  const auto behind = [](const std::function<Bytes(ChannelId)>& payload, std::string_view text) {
    on_a_channel([&](Conversation& c, ChannelId id) {
      c.send(ChannelEofMessage{id});
      c.expect_event<ChannelEnded>();
      c.send_raw(payload(id));
      c.expect_event<ChannelClosed>();
      c.expect_protocol_error(text);
    });
  };
  behind([](ChannelId id) { return encoded(ChannelDataMessage{id, as_bytes("x")}); }, "behind the end");
  behind([](ChannelId id) { return encoded(ChannelDataMessage{id, {}}); }, "behind the end");
  behind([](ChannelId id) { return encoded(ChannelExtendedDataMessage{id, 1, as_bytes("x")}); },
         "behind the end");
  behind([](ChannelId id) { return encoded(ChannelEofMessage{id}); }, "ended twice");
}

// No credit for a direction that is over, however late its bytes are taken.
TEST(ChannelEof, EndsCredit) {
  Conversation::Options options;
  options.machine.limits.window_initial = options.machine.limits.window_min = 1000;
  on_a_channel(
      [](Conversation& c, ChannelId id) {
        c.send(ChannelDataMessage{id, Bytes(1000)});
        c.expect_event<ChannelData>();
        c.send(ChannelEofMessage{id});
        c.expect_event<ChannelEnded>();
        c.consumed(id, 1000);
        c.expect_silence();
      },
      options);
}

// ---- channel requests (RFC 4254 section 5.4)

TEST(ChannelRequest, IsRefusedWhereAnAnswerIsWanted) {
  on_a_channel([](Conversation& c, ChannelId id) {
    c.send(ChannelRequestMessage{id, "keepalive@openssh.com", true, Rest{}});
    c.expect_message<ChannelFailureMessage>(
        [](const ChannelFailureMessage& m) { EXPECT_EQ(m.recipient, 7u); });
    c.send(ChannelRequestMessage{id, "exit-status", false, Rest{Bytes(4)}});
    c.send(ChannelRequestMessage{id, "", false, Rest{}});
    c.expect_silence();
    c.send(ChannelEofMessage{id});
    c.expect_event<ChannelEnded>();
    c.send(ChannelRequestMessage{id, "shell", true, Rest{}});  // requests may follow an EOF
    c.expect_message<ChannelFailureMessage>();
  });
}

TEST(ChannelRequest, AnswersToOursWhichWeNeverMake) {
  for (const bool success : {true, false}) {
    on_a_channel([=](Conversation& c, ChannelId id) {
      c.send_raw(success ? encoded(ChannelSuccessMessage{id}) : encoded(ChannelFailureMessage{id}));
      c.expect_event<ChannelClosed>();
      c.expect_protocol_error("never made");
    });
  }
}

}  // namespace
}  // namespace culvert::ssh

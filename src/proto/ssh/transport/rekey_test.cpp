// SPDX-License-Identifier: Apache-2.0
// Scripts of renewing keys (RFC 4253 section 9): who starts it, when, and what waits for its end. That
// nothing else leaves between the machine's KEXINIT and its NEWKEYS is checked by every conversation.
#include <gtest/gtest.h>

#include "tests/support/conversation.hpp"

namespace culvert::ssh {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using test::Conversation;
using test::kRoles;
using test::run_everywhere;
using test::ScriptedPeer;

Conversation::Options without_keepalives() {
  Conversation::Options options;
  options.machine.timing.keepalive_interval = {};
  options.machine.rekey.time = {};
  return options;
}
void ask_for_it(Conversation& c) {
  c.command([](Session& s) { s.request_rekey(); });
}
/// From here on the peer's part is awaited.
void begin(Conversation& c) {
  ask_for_it(c);
  c.expect_message<KexInitMessage>();
}
void stays_quiet(Conversation& c) {
  c.send(PingMessage{});
  c.expect_message<PongMessage>();
  c.expect_silence();
}

TEST(Rekey, AskedForByEither) {
  for (const Role role : kRoles) {
    run_everywhere(role, [](Conversation& c) {
      c.connect();
      c.exchange_keys();
      ask_for_it(c);
      c.exchange_keys(true);
      ask_for_it(c);
      c.exchange_keys(true);
      stays_quiet(c);
    });
  }
}

TEST(Rekey, AskedForByBothAtOnce) {
  for (const Role role : kRoles) {
    run_everywhere(role, [](Conversation& c) {
      c.connect();
      c.as_peer([&](ScriptedPeer& p) {
        c.session.request_rekey();
        p.send_kexinit();
      });
      c.expect_message<KexInitMessage>();
      ask_for_it(c);  // it is under way
      c.exchange_values();
      stays_quiet(c);
    });
  }
}

TEST(Rekey, NotBeforeLogin) {
  run_everywhere(Role::client, [](Conversation& c) {
    ask_for_it(c);
    c.start_authentication();
    c.expect_event<AuthNext>();
    ask_for_it(c);
    c.expect_silence();
    c.exchange_keys();  // but the peer may
    c.command([](Session& s) { s.try_none(); });
    c.expect_message<UserauthRequestMessage>();
  });
}

// Whoever has not logged in has one signature of us, and not as many as he likes.
TEST(Rekey, AServerRefusesItBeforeLogin) {
  for (const bool at_once : {true, false}) {
    run_everywhere(Role::server, [=](Conversation& c) {
      if (at_once) {
        c.exchange_first_keys();
      } else {
        c.start_authentication();
      }
      c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
      c.expect_protocol_error("message 20 is not allowed");
    });
  }
}

TEST(Rekey, ByBytesOfEitherDirection) {
  for (const Role role : kRoles) {
    for (const bool outward : {true, false}) {
      Conversation::Options options;
      options.machine.rekey.bytes = 10'000;
      run_everywhere(
          role,
          [=](Conversation& c) {
            c.connect();
            const ChannelId id = c.opened(7);
            for (int round = 0; round < 2; ++round) {
              for (int i = 0; i < 3; ++i) {
                c.expect_silence();
                if (outward) {
                  c.command([=](Session& s) { EXPECT_EQ(s.send(id, Bytes(4000)), 4000u); });
                  c.expect_message<ChannelDataMessage>();
                } else {
                  c.send(ChannelDataMessage{id, Bytes(4000)});
                  c.expect_event<ChannelData>();
                }
              }
              c.exchange_keys(true);
            }
          },
          options);
    }
  }
}

TEST(Rekey, ByPacketsOfEitherDirection) {
  for (const Role role : kRoles) {
    for (const bool outward : {true, false}) {
      Conversation::Options options;
      options.machine.rekey.packets = 5;
      run_everywhere(
          role,
          [=](Conversation& c) {
            c.connect();
            c.exchange_keys();  // so that the count is known
            for (int i = 0; i < 5; ++i) {
              c.expect_silence();
              if (outward) {
                c.command([](Session& s) { s.send_global_request("x", {}, false, 0); });
                c.expect_message<GlobalRequestMessage>();
              } else {
                c.send(IgnoreMessage{});
              }
            }
            if (outward) c.after(seconds(0));
            c.exchange_keys(true);
          },
          options);
    }
  }
}

TEST(Rekey, ByTime) {
  Conversation::Options options = without_keepalives();
  options.machine.rekey.time = hours(1);
  for (const Role role : kRoles) {
    run_everywhere(
        role,
        [](Conversation& c) {
          c.connect();
          for (int i = 0; i < 2; ++i) {
            c.after(hours(1) - seconds(1));
            c.expect_silence();
            c.after(seconds(1));
            c.exchange_keys(true);
          }
        },
        options);
  }
}

// ---- what waits

TEST(Rekey, OpensEofsClosesAndDataWait) {
  for (const Role role : kRoles) {
    run_everywhere(role, [=](Conversation& c) {
      c.connect();
      const ChannelId data = c.opened(7), eof = c.opened(8), close = c.opened(9);
      begin(c);
      ChannelId late = UINT32_MAX;
      c.command([=](Session& s) {
        EXPECT_EQ(s.sendable(data), 0u);
        EXPECT_EQ(s.send(data, as_bytes("data")), 0u);
        s.send_eof(eof);
        s.close(close);
      });
      late = c.open();
      c.command([](Session& s) { s.send_global_request("request", {}, true, 5); });
      c.expect_silence();
      c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
      c.command([=](Session& s) { EXPECT_EQ(s.send(data, as_bytes("data")), 0u); });
      if (role == Role::client) {
        c.expect_message<KexStringInitMessage>();
        c.as_peer([](ScriptedPeer& p) { p.send_reply(test::host_key()); });
      } else {
        c.as_peer([](ScriptedPeer& p) { p.send_value(); });
        c.answer_host_signature();
        c.expect_message<KexStringReplyMessage>();
      }
      c.expect_message<NewKeysMessage>();  // ours is enough, and then all leaves in order
      c.expect_message<ChannelEofMessage>([](const ChannelEofMessage& m) { EXPECT_EQ(m.recipient, 8u); });
      c.expect_message<ChannelCloseMessage>([](const ChannelCloseMessage& m) { EXPECT_EQ(m.recipient, 9u); });
      c.expect_message<ChannelOpenMessage>([=](const ChannelOpenMessage& m) { EXPECT_EQ(m.sender, late); });
      c.expect_message<GlobalRequestMessage>();
      c.expect_event<ChannelWritable>([=](ChannelWritable& e) { EXPECT_EQ(e.id, data); });
      c.command([=](Session& s) { EXPECT_EQ(s.send(data, as_bytes("data")), 4u); });
      c.expect_message<ChannelDataMessage>();
      c.send(NewKeysMessage{});
      c.expect_event<KeysAgreed>();
    });
  }
}

// The peer does not know of our KEXINIT yet: what it says until its own is as good as ever.
TEST(Rekey, ThePeerGoesOnUntilItsOwnKexinit) {
  Conversation::Options options;
  options.machine.limits.window_initial = options.machine.limits.window_min = 1000;
  for (const Role role : kRoles) {
    run_everywhere(
        role,
        [](Conversation& c) {
          c.connect();
          const ChannelId id = c.opened(7);
          const ChannelId other = c.opened(8);
          begin(c);
          c.send(ChannelDataMessage{id, Bytes(1000)});
          c.expect_event<ChannelData>();
          c.consumed(id, 1000);
          c.send(ChannelRequestMessage{id, "keepalive@openssh.com", true, Rest{}});
          c.send_raw(c.open_request(9));
          c.expect_event<ChannelRequested>([](ChannelRequested& e) { EXPECT_EQ(e.id, 2u); });
          c.refuse(2);
          c.send(ChannelWindowAdjustMessage{id, 1000});
          c.send(ChannelEofMessage{other});
          c.expect_event<ChannelEnded>();
          c.send(ChannelCloseMessage{other});
          c.expect_event<ChannelClosed>();
          c.send(PingMessage{as_bytes("ping")});
          c.expect_silence();
          c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
          c.exchange_values();
          c.expect_message<ChannelFailureMessage>();
          c.expect_message<ChannelOpenFailureMessage>();
          c.expect_message<ChannelCloseMessage>();
          c.expect_message<PongMessage>();
          c.expect_message<ChannelWindowAdjustMessage>(
              [](const ChannelWindowAdjustMessage& m) { EXPECT_EQ(m.bytes, 1000u); });
        },
        options);
  }
}

TEST(Rekey, CreditOfAChannelThatEndedMeanwhileIsNotGiven) {
  Conversation::Options options;
  options.machine.limits.window_initial = options.machine.limits.window_min = 1000;
  run_everywhere(
      Role::client,
      [](Conversation& c) {
        c.connect();
        const ChannelId ended = c.opened(7), closed = c.opened(8);
        for (const ChannelId id : {ended, closed}) {
          c.send(ChannelDataMessage{id, Bytes(1000)});
          c.expect_event<ChannelData>();
        }
        begin(c);
        for (const ChannelId id : {ended, closed}) c.consumed(id, 1000);
        c.send(ChannelEofMessage{ended});
        c.expect_event<ChannelEnded>();
        c.command([=](Session& s) { s.close(closed); });
        c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
        c.exchange_values();
        c.expect_message<ChannelCloseMessage>();
        c.expect_silence();
      },
      options);
}

// A signature may take its time (an agent, a smartcard): nothing leaves meanwhile.
TEST(Rekey, WaitsForTheHostSignature) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    const ChannelId id = c.accepted(7);
    c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
    c.expect_message<KexInitMessage>();
    c.as_peer([](ScriptedPeer& p) { p.send_value(); });
    c.command([=](Session& s) { s.send_eof(id); });
    c.after(seconds(14));
    c.answer_host_signature();
    c.expect_message<KexStringReplyMessage>();
    c.expect_message<NewKeysMessage>();
    c.expect_message<ChannelEofMessage>();  // under the new keys
    c.send(NewKeysMessage{});
    c.expect_event<KeysAgreed>([](KeysAgreed& e) { EXPECT_FALSE(e.first); });
  });
}

TEST(Rekey, OnlySoMuchMayWait) {
  Conversation::Options options;
  options.machine.limits.deferred_output = 200;
  run_everywhere(
      Role::client,
      [](Conversation& c) {
        c.connect();
        const ChannelId id = c.opened(7);
        begin(c);
        c.command([](Session& s) {  // the others need not end for an open
          const auto opened = s.open_direct_streamlocal(std::string(300, 'x'));
          ASSERT_FALSE(opened);
          EXPECT_EQ(static_cast<int>(opened.error().code), static_cast<int>(Errc::limit));
          EXPECT_EQ(s.channel_count(), 1u);
        });
        c.expect_silence();
        c.as_peer([=](ScriptedPeer& p) {
          for (int i = 0; i < 30; ++i) p.send(ChannelRequestMessage{id, "x", true, Rest{}});
        });
        c.expect_event<ChannelClosed>();
        c.expect_end(Errc::limit, "too much waits");
        c.expect_payload([](ByteView payload) { EXPECT_EQ(payload[0], 1); });
      },
      options);
}

// ---- what goes wrong

TEST(Rekey, ThatNeverEndsTimesOut) {
  for (const Role role : kRoles) {
    run_everywhere(
        role,
        [](Conversation& c) {
          c.connect();
          c.opened(7);
          c.after(hours(5));
          begin(c);
          c.after(seconds(59));
          c.expect_silence();
          c.send(IgnoreMessage{});  // a sign of life is not enough
          c.after(seconds(1));
          c.expect_event<ChannelClosed>();
          c.expect_end(Errc::timed_out, "key exchange took too long");
        },
        without_keepalives());
    run_everywhere(
        role,
        [](Conversation& c) {  // begun by the peer, which does not go on
          c.connect();
          c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
          c.expect_message<KexInitMessage>();
          if (c.peer.role() == Role::server) c.expect_message<KexStringInitMessage>();
          c.after(seconds(60));
          c.expect_end(Errc::timed_out, "key exchange took too long");
        },
        without_keepalives());
  }
}

// The peer's KEXINIT is behind all that it had sent before it saw ours, which may be much for a slow path.
TEST(Rekey, IsNotTimedWhileDataThatWasUnderWayArrives) {
  for (const Role role : kRoles) {
    run_everywhere(
        role,
        [](Conversation& c) {
          c.connect();
          const ChannelId id = c.opened(7);
          begin(c);
          for (int i = 0; i < 5; ++i) {
            c.after(seconds(59));
            c.send(ChannelDataMessage{id, as_bytes("from before")});
            c.expect_event<ChannelData>();
          }
          c.after(seconds(59));
          c.expect_silence();
          c.after(seconds(1));
          c.expect_event<ChannelClosed>();
          c.expect_end(Errc::timed_out, "key exchange took too long");
        },
        without_keepalives());
  }
}

TEST(Rekey, ThatEndedHasNoDeadline) {
  for (const Role role : kRoles) {
    run_everywhere(
        role,
        [](Conversation& c) {
          c.connect();
          ask_for_it(c);
          c.exchange_keys(true);
          c.command([](Session& s) { EXPECT_TRUE(s.next_deadline() == kNever); });
          c.after(hours(10));
          stays_quiet(c);
        },
        without_keepalives());
  }
}

// The peer is alive while it exchanges keys, and a dead one is found out as ever.
TEST(Rekey, KeepalivesWaitAsWell) {
  Conversation::Options options;
  options.machine.timing.key_exchange = hours(1);
  run_everywhere(
      Role::client,
      [](Conversation& c) {
        c.connect();
        begin(c);
        c.after(seconds(20));
        c.expect_silence();
        c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
        c.exchange_values();
        c.expect_message<GlobalRequestMessage>();
        c.send(RequestFailureMessage{});
        begin(c);
        c.after(seconds(60));
        c.expect_end(Errc::timed_out, "does not answer");
      },
      options);
}

TEST(Rekey, MustShowTheSameHostKey) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.connect();
    c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
    c.expect_message<KexInitMessage>();
    c.expect_message<KexStringInitMessage>();
    c.as_peer([](ScriptedPeer& p) { p.send_reply(test::stranger_key()); });
    c.expect_end(Errc::verification, "another host key");
    c.expect_goodbye(DisconnectReason::host_key_not_verifiable);
  });
}

}  // namespace
}  // namespace culvert::ssh

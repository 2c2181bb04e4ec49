// SPDX-License-Identifier: Apache-2.0
// Scripts of what bounds the way from the first byte to the login: time, bytes, and how it may end.
#include <gtest/gtest.h>

#include "tests/support/conversation.hpp"
#include "tests/support/handshake_steps.hpp"

namespace culvert::ssh {
namespace {

using std::chrono::seconds;
using test::Conversation;
using test::kRoles;
using test::reply_with;
using test::run_everywhere;
using test::ScriptedPeer;
using test::without_strict;

TEST(HandshakeLimits, TakesNoLongerThanItsDeadline) {
  for (const Role role : kRoles) {
    test::run(role, [](Conversation& c) {
      c.as_peer([](ScriptedPeer& p) { p.identify(); });
      c.after(seconds(119));
      c.expect_message<KexInitMessage>();
      c.expect_silence();
      c.after(seconds(1));
      c.expect_end(Errc::timed_out, "the login took too long");
    });
    Conversation::Options impatient;
    impatient.machine.timing.first_keys = seconds(5);
    const auto too_slow = [](Conversation& c) {
      c.after(seconds(4));
      c.expect_silence();
      c.after(seconds(1));
      c.expect_end(Errc::timed_out, "the key exchange took too long");
    };
    test::run(
        role,
        [&](Conversation& c) {
          c.as_peer([](ScriptedPeer& p) { p.identify(); });
          c.expect_message<KexInitMessage>();
          too_slow(c);
        },
        impatient);
    test::run(
        role,
        [&](Conversation& c) {  // ... and from then on it has no say
          c.exchange_first_keys();
          if (c.peer.role() == Role::server) c.expect_message<ServiceRequestMessage>();
          if (c.peer.role() == Role::server) c.expect_event<AuthNext>();
          c.after(seconds(100));
          c.expect_silence();
        },
        impatient);
    test::run(role, [](Conversation& c) {  // and authentication is part of it
      c.start_authentication();
      if (c.peer.role() == Role::server) c.expect_event<AuthNext>();
      c.after(seconds(119));
      c.expect_silence();
      c.after(seconds(2));
      c.expect_end(Errc::timed_out);
    });
    Conversation::Options patient;
    patient.machine.timing.handshake = {};
    test::run(
        role,
        [](Conversation& c) {
          c.after(std::chrono::hours(1000));
          c.expect_message<KexInitMessage>();
        },
        patient);
  }
}

TEST(HandshakeLimits, TooMuchBeforeLogin) {
  Conversation::Options options = without_strict();
  options.machine.limits.before_auth_bytes = 10000;
  for (const Role role : kRoles) {
    run_everywhere(
        role,
        [](Conversation& c) {
          c.as_peer([](ScriptedPeer& p) {
            p.identify();
            p.send_kexinit();
          });
          c.expect_message<KexInitMessage>();
          if (c.peer.role() == Role::server) c.expect_message<KexStringInitMessage>();
          for (int i = 0; i < 11; ++i) c.send(IgnoreMessage{Bytes(900)});
          c.expect_end(Errc::limit, "too much before login");
          c.expect_payload([](ByteView payload) { EXPECT_EQ(payload[0], 1); });
        },
        options);
  }
}

// Nothing is read while the user looks at the fingerprint: what comes meanwhile must not pile up.
TEST(HandshakeLimits, TooMuchWhileAnAnswerIsAwaited) {
  Conversation::Options options = without_strict();
  options.machine.limits.before_auth_bytes = 10000;
  test::run(
      Role::client,
      [](Conversation& c) {
        reply_with(c, [](ScriptedPeer& p) { p.send_reply(test::host_key()); });
        c.expect_event<HostKeyOffered>();
        c.send(IgnoreMessage{Bytes(5000)});
        c.expect_silence();
        c.send(IgnoreMessage{Bytes(5000)});
        c.expect_end(Errc::limit, "too much before login");
        c.expect_payload([](ByteView payload) { EXPECT_EQ(payload[0], 1); });
      },
      options);
  test::run(
      Role::server,
      [](Conversation& c) {
        c.start_authentication();
        c.as_peer([&](ScriptedPeer& p) { p.send_raw(c.signed_request()); });
        c.expect_event<UserOffered>();
        c.send(IgnoreMessage{Bytes(5000)});
        c.expect_silence();
        c.send(IgnoreMessage{Bytes(5000)});
        c.expect_end(Errc::limit, "too much before login");
        c.expect_payload([](ByteView payload) { EXPECT_EQ(payload[0], 1); });
      },
      options);
}

// What follows the login in the same read is not "before login".
TEST(HandshakeLimits, WhatComesAfterLoginIsNotCounted) {
  Conversation::Options options;
  options.machine.limits.before_auth_bytes = 10000;
  run_everywhere(
      Role::client,
      [](Conversation& c) {
        c.start_authentication();
        c.expect_event<AuthNext>();
        c.command([](Session& s) { s.try_none(); });
        c.expect_message<UserauthRequestMessage>();
        c.as_peer([](ScriptedPeer& p) {
          p.send(UserauthSuccessMessage{});
          for (int i = 0; i < 20; ++i) p.send(IgnoreMessage{Bytes(1000)});
        });
        c.expect_event<Authenticated>();
      },
      options);
}

TEST(HandshakeLimits, EndOfTheLinkSaysWhere) {
  for (const Role role : kRoles) {
    test::run(role, [](Conversation& c) {
      c.as_peer([](ScriptedPeer& p) { p.identify(); });
      c.expect_message<KexInitMessage>();
      c.command([&](Session& s) { s.commit_end(c.clock.now()); });
      c.expect_end(Errc::closed, "closed the connection during the key exchange");
    });
    test::run(role, [](Conversation& c) {
      c.connect();
      c.command([&](Session& s) { s.commit_end(c.clock.now()); });
      c.expect_end(Errc::closed, "closed the connection");
    });
  }
}

// Some leave out the language, which RFC 4253 section 11.1 wants. It is the end in any case.
TEST(HandshakeLimits, PeerMayDisconnectWithFewerFields) {
  const auto says = [](ByteView fields, std::string_view text) {
    for (const Role role : kRoles) {
      run_everywhere(role, [&](Conversation& c) {
        c.connect();
        Bytes payload = {1};
        Writer(payload).bytes(fields);
        c.send_raw(payload);
        c.expect_end(Errc::closed, text);
      });
    }
  };
  Bytes fields;
  says(fields, "the peer disconnected");
  Writer(fields).u32(11);
  says(fields, "the peer disconnected");
  Writer(fields).text("going down at noon");
  says(fields, "the peer disconnected: going down at noon");
}

// What carries the session has failed: that is why, unless the peer had said more.
TEST(HandshakeLimits, ALostConnectionSaysHow) {
  for (const Role role : kRoles) {
    run_everywhere(role, [&](Conversation& c) {
      c.connect();
      c.command([](Session& s) { s.commit_end(Instant(), Error{Errc::reset, "Connection reset by peer"}); });
      c.expect_end(Errc::reset, "Connection reset by peer");
      c.expect_silence();  // nobody is there to hear a goodbye
    });
  }
}

TEST(HandshakeLimits, WhatCannotBeReadIsThePeersFault) {
  for (const Role role : kRoles) {
    run_everywhere(role, [&](Conversation& c) {
      c.connect();
      c.send_raw(Bytes{90, 0});
      c.expect_end(Errc::malformed, role == Role::client
                                        ? "the server sent a malformed message: message ends too early"
                                        : "the client sent a malformed message: message ends too early");
      c.expect_goodbye(DisconnectReason::protocol_error);
    });
  }
}

TEST(HandshakeLimits, PeerMayDisconnectAtAnyTime) {
  for (const Role role : kRoles) {
    const auto goodbye = [](Conversation& c) {
      c.send(DisconnectMessage{11, "enough\x07", ""});
      c.expect_end(Errc::closed, "the peer disconnected: enough\\x07");
    };
    run_everywhere(role, [&](Conversation& c) {
      c.as_peer([](ScriptedPeer& p) { p.identify(); });
      c.expect_message<KexInitMessage>();
      goodbye(c);
    });
    run_everywhere(role, [&](Conversation& c) {
      c.start_authentication();
      if (c.peer.role() == Role::server) c.expect_event<AuthNext>();
      goodbye(c);
    });
    run_everywhere(role, [&](Conversation& c) {
      c.connect();
      goodbye(c);
    });
  }
}

TEST(HandshakeLimits, OurGoodbye) {
  for (const Role role : kRoles) {
    run_everywhere(role, [](Conversation& c) {
      c.connect();
      c.command([](Session& s) { s.disconnect("shutting down"); });
      c.expect_event<Disconnected>([](Disconnected& e) {
        EXPECT_EQ(static_cast<int>(e.error.code), static_cast<int>(Errc::cancelled));
      });
      c.expect_message<DisconnectMessage>([](const DisconnectMessage& m) {
        EXPECT_EQ(m.reason, 11u);
        EXPECT_EQ(m.description, "shutting down");
      });
    });
  }
}

TEST(HandshakeLimits, DamagedPacketsEndIt) {
  for (const Role role : kRoles) {
    test::run(role, [](Conversation& c) {
      c.connect();
      c.as_peer([](ScriptedPeer& p) { p.write_raw(Bytes(64, 0x11)); });
      c.expect_event<Disconnected>();
      c.expect_payload([](ByteView payload) { EXPECT_EQ(payload[0], 1); });
    });
  }
}

}  // namespace
}  // namespace culvert::ssh

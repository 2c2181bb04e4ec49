// SPDX-License-Identifier: Apache-2.0
// Scripts of global requests and their answers (RFC 4254 section 4), and of what lives on them: keepalives.
#include <gtest/gtest.h>

#include "tests/support/conversation.hpp"

namespace culvert::ssh {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using test::Conversation;
using test::kRoles;
using test::run_everywhere;

void ask(Conversation& c, std::string_view name, bool want_reply = true) {
  c.send(GlobalRequestMessage{name, want_reply, Rest{as_bytes("data")}});
}
void answer(Conversation& c, bool success, std::string_view data = {}) {
  c.command([=](Session& s) { s.reply_global(success, as_bytes(data)); });
}
void expect_success(Conversation& c, std::string_view data) {
  c.expect_message<RequestSuccessMessage>(
      [=](const RequestSuccessMessage& m) { EXPECT_EQ(as_text(m.data.bytes), data); });
}
void expect_keepalive(Conversation& c) {
  c.expect_message<GlobalRequestMessage>([](const GlobalRequestMessage& m) {
    EXPECT_EQ(m.name, "keepalive@openssh.com");
    EXPECT_TRUE(m.want_reply);
    EXPECT_TRUE(m.data.bytes.empty());
  });
}

// ---- the peer asks

TEST(GlobalRequests, AClientRefusesThemItself) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.connect();
    for (const std::string_view name :
         {"hostkeys-00@openssh.com", "keepalive@openssh.com", "tcpip-forward", ""}) {
      ask(c, name);
      c.expect_message<RequestFailureMessage>();
      ask(c, name, false);
      c.expect_silence();
    }
  });
}

TEST(GlobalRequests, AServerShowsThem) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    ask(c, "name@example.org");
    c.expect_event<GlobalRequested>([](GlobalRequested& e) {
      EXPECT_EQ(e.name, "name@example.org");
      EXPECT_EQ(as_text(e.data), "data");
      EXPECT_TRUE(e.want_reply);
    });
    c.expect_silence();
    answer(c, true, "port");
    expect_success(c, "port");
    ask(c, std::string(5000, 'x'), false);
    c.expect_event<GlobalRequested>([](GlobalRequested& e) {
      EXPECT_EQ(e.name, std::string(4096, 'x'));
      EXPECT_FALSE(e.want_reply);
    });
    answer(c, true);  // nobody waits for it
    c.expect_silence();
    ask(c, "keepalive@openssh.com");
    c.expect_message<RequestFailureMessage>();
  });
}

TEST(GlobalRequests, AnswersKeepTheOrderOfTheRequests) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    ask(c, "first");
    ask(c, "keepalive@openssh.com");
    ask(c, "keepalive@openssh.com");
    ask(c, "second");
    ask(c, "keepalive@openssh.com");
    c.expect_event<GlobalRequested>([](GlobalRequested& e) { EXPECT_EQ(e.name, "first"); });
    c.expect_event<GlobalRequested>([](GlobalRequested& e) { EXPECT_EQ(e.name, "second"); });
    c.expect_silence();  // no answer may overtake one that the user owes
    answer(c, true, "first");
    expect_success(c, "first");
    c.expect_message<RequestFailureMessage>();
    c.expect_message<RequestFailureMessage>();
    c.expect_silence();
    answer(c, false, "not sent with a refusal");
    c.expect_message<RequestFailureMessage>();
    c.expect_message<RequestFailureMessage>();
    c.expect_silence();
    answer(c, true);
    c.expect_silence();
  });
}

TEST(GlobalRequests, TooManyAtOnce) {
  Conversation::Options options;
  options.machine.limits.global_requests_pending = 3;
  run_everywhere(
      Role::server,
      [](Conversation& c) {
        c.connect();
        for (int round = 0; round < 2; ++round) {
          for (const std::string_view name : {"one", "keepalive@openssh.com", "three"}) ask(c, name);
          c.expect_event<GlobalRequested>();
          c.expect_event<GlobalRequested>();
          ask(c, "that wants no answer", false);
          c.expect_event<GlobalRequested>();
          if (round == 1) break;
          answer(c, true);
          answer(c, true);
          for (const unsigned number : {81u, 82u, 81u})
            c.expect_payload([=](ByteView payload) { EXPECT_EQ(payload[0], number); });
        }
        ask(c, "four");
        c.expect_protocol_error("too many global requests");
      },
      options);
}

// ---- we ask

TEST(GlobalRequests, OursAreAnsweredInOrder) {
  for (const Role role : kRoles) {
    run_everywhere(role, [](Conversation& c) {
      c.connect();
      c.command([](Session& s) {
        s.send_global_request("one", as_bytes("1"), true, 11);
        s.send_global_request("unanswered", {}, false, 99);
        s.send_global_request("two", {}, true, 12);
      });
      c.expect_message<GlobalRequestMessage>([](const GlobalRequestMessage& m) {
        EXPECT_EQ(m.name, "one");
        EXPECT_TRUE(m.want_reply);
        EXPECT_EQ(as_text(m.data.bytes), "1");
      });
      c.expect_message<GlobalRequestMessage>(
          [](const GlobalRequestMessage& m) { EXPECT_FALSE(m.want_reply); });
      c.expect_message<GlobalRequestMessage>();
      c.send(RequestSuccessMessage{Rest{as_bytes("port")}});
      c.expect_event<GlobalReply>([](GlobalReply& e) {
        EXPECT_EQ(e.token, 11u);
        EXPECT_TRUE(e.success);
        EXPECT_EQ(as_text(e.data), "port");
      });
      c.send(RequestFailureMessage{});
      c.expect_event<GlobalReply>([](GlobalReply& e) {
        EXPECT_EQ(e.token, 12u);
        EXPECT_FALSE(e.success);
      });
      c.send(RequestSuccessMessage{Rest{}});
      c.expect_protocol_error("never made");
    });
  }
}

TEST(GlobalRequests, AnswersToNothing) {
  for (const Role role : kRoles) {
    for (const bool success : {true, false}) {
      run_everywhere(role, [=](Conversation& c) {
        c.connect();
        c.send_raw(success ? encoded(RequestSuccessMessage{Rest{}}) : encoded(RequestFailureMessage{}));
        c.expect_protocol_error("never made");
      });
    }
  }
}

// ---- keepalives: hours of silence in a few milliseconds

TEST(Keepalive, IsSentIntoSilenceAndAnswered) {
  for (const Role role : kRoles) {
    run_everywhere(role, [](Conversation& c) {
      c.connect();
      c.after(seconds(15) - milliseconds(1));
      c.expect_silence();
      c.after(milliseconds(1));
      expect_keepalive(c);
      c.send(RequestFailureMessage{});  // any answer is one
      c.expect_silence();
      c.after(seconds(14));
      c.expect_silence();
      c.after(seconds(1));
      expect_keepalive(c);
      c.send(RequestSuccessMessage{Rest{as_bytes("alive")}});
      c.expect_silence();
    });
  }
}

TEST(Keepalive, AnAnsweringPeerMayBeSilentForHours) {
  Conversation::Options options;
  options.machine.rekey.time = {};
  test::run(
      Role::client,
      [](Conversation& c) {
        c.connect();
        for (int i = 0; i < 4 * 60 * 3 && c.goes_on(); ++i) {
          c.after(seconds(15));
          expect_keepalive(c);
          c.send(RequestFailureMessage{});
        }
      },
      options);
}

TEST(Keepalive, UnansweredOnesEndTheSession) {
  for (const Role role : kRoles) {
    run_everywhere(role, [](Conversation& c) {
      c.connect();
      c.opened(7);
      for (int i = 0; i < 3; ++i) {
        c.after(seconds(15));
        expect_keepalive(c);
      }
      c.after(seconds(15) - milliseconds(1));
      c.expect_silence();
      c.after(milliseconds(1));
      c.expect_event<ChannelClosed>();
      c.expect_end(Errc::timed_out, "nothing has come for 60 s, 3 keepalives unanswered");
      c.expect_silence();  // who should read a goodbye?
    });
  }
}

TEST(Keepalive, AnythingIsASignOfLife) {
  for (const Role role : kRoles) {
    run_everywhere(role, [](Conversation& c) {
      c.connect();
      for (int i = 0; i < 3; ++i) {
        c.after(seconds(14));
        c.send(IgnoreMessage{});
        c.expect_silence();
      }
      c.after(seconds(45));
      for (int i = 0; i < 3; ++i) expect_keepalive(c);
      c.send(IgnoreMessage{});
      c.after(seconds(45));
      for (int i = 0; i < 3; ++i) expect_keepalive(c);
      c.after(seconds(15));
      c.expect_end(Errc::timed_out);
    });
  }
}

TEST(Keepalive, AnswersMixWithOthers) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.connect();
    c.command([](Session& s) { s.send_global_request("one", {}, true, 1); });
    c.after(seconds(15));
    c.command([](Session& s) { s.send_global_request("two", {}, true, 2); });
    c.expect_message<GlobalRequestMessage>();
    expect_keepalive(c);
    c.expect_message<GlobalRequestMessage>();
    for (const std::uint64_t token : {1, 0, 2}) {
      c.send(RequestFailureMessage{});
      if (token != 0) c.expect_event<GlobalReply>([=](GlobalReply& e) { EXPECT_EQ(e.token, token); });
      c.expect_silence();
    }
  });
}

// Neither we nor a peer that answers late keep more in mind, and keepalives find room all the same.
TEST(GlobalRequests, OursWithoutAnAnswerAreBounded) {
  Conversation::Options options;
  options.machine.limits.global_requests_pending = 8;
  run_everywhere(
      Role::client,
      [](Conversation& c) {
        c.connect();
        c.command([](Session& s) {
          for (std::uint64_t token = 1; token <= 6; ++token)
            EXPECT_TRUE(s.send_global_request("x", {}, true, token));
          EXPECT_FALSE(s.send_global_request("x", {}, true, 7));
          EXPECT_TRUE(s.send_global_request("unanswered", {}, false, 0));
        });
        for (int i = 0; i < 6; ++i) c.expect_message<GlobalRequestMessage>();
        c.expect_message<GlobalRequestMessage>([](auto& m) { EXPECT_EQ(m.name, "unanswered"); });
        c.after(seconds(15));
        expect_keepalive(c);
        c.send(RequestFailureMessage{});
        c.expect_event<GlobalReply>([](GlobalReply& e) { EXPECT_EQ(e.token, 1u); });
        c.command([](Session& s) { EXPECT_FALSE(s.send_global_request("x", {}, true, 8)); });
        c.send(RequestFailureMessage{});
        c.expect_event<GlobalReply>([](GlobalReply& e) { EXPECT_EQ(e.token, 2u); });
        c.command([](Session& s) { EXPECT_TRUE(s.send_global_request("x", {}, true, 9)); });
        c.expect_message<GlobalRequestMessage>();
      },
      options);
}

TEST(Keepalive, APeerThatLivesButAnswersNothing) {
  Conversation::Options options;
  options.machine.limits.global_requests_pending = 2;
  run_everywhere(
      Role::client,
      [](Conversation& c) {
        c.connect();
        for (int i = 0; i < 2; ++i) {
          c.after(seconds(15));
          expect_keepalive(c);
          c.send(IgnoreMessage{});
        }
        c.after(seconds(15));
        c.expect_end(Errc::limit, "answers no global requests");
        c.expect_payload([](ByteView payload) { EXPECT_EQ(payload[0], 1); });
      },
      options);
}

TEST(Keepalive, CanBeTurnedOffAndSet) {
  Conversation::Options options;
  options.machine.timing.keepalive_interval = {};
  options.machine.rekey.time = {};
  test::run(
      Role::client,
      [](Conversation& c) {
        c.connect();
        c.command([](Session& s) { EXPECT_TRUE(s.next_deadline() == kNever); });
        c.after(std::chrono::hours(1000));
        c.send(IgnoreMessage{});
        c.after(std::chrono::hours(1000));
        c.expect_silence();
      },
      options);
  options.machine.timing.keepalive_interval = minutes(2);
  options.machine.timing.keepalive_count = 1;
  test::run(
      Role::server,
      [](Conversation& c) {
        c.connect();
        c.after(minutes(2));
        expect_keepalive(c);
        c.after(minutes(2));
        c.expect_end(Errc::timed_out, "nothing has come for 240 s, 1 keepalive unanswered");
      },
      options);
}

TEST(Keepalive, NoneBeforeLogin) {
  for (const Role role : kRoles) {
    test::run(role, [](Conversation& c) {
      c.start_authentication();
      if (c.peer.role() == Role::server) c.expect_event<AuthNext>();
      c.after(seconds(100));
      c.expect_silence();
    });
  }
}

// ---- ping (OpenSSH PROTOCOL, "transport: ping facility")

TEST(Ping, IsAnsweredWithTheSameData) {
  for (const Role role : kRoles) {
    run_everywhere(role, [](Conversation& c) {
      c.connect();
      for (const std::string_view data : {"", "some data"}) {
        c.send(PingMessage{as_bytes(data)});
        c.expect_message<PongMessage>([=](const PongMessage& m) { EXPECT_EQ(as_text(m.data), data); });
      }
      c.send(PongMessage{as_bytes("unasked")});
      c.expect_silence();
    });
    test::run(role, [](Conversation& c) {
      c.connect();
      c.send(PingMessage{Bytes(32 * 1024 + 1)});
      c.expect_protocol_error("ping of more than");
    });
  }
}

}  // namespace
}  // namespace culvert::ssh

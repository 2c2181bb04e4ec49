// SPDX-License-Identifier: Apache-2.0
// Scripts of channels of type "session" at a server, and of the requests on them (RFC 4254 section 6).
#include <gtest/gtest.h>

#include "tests/support/conversation.hpp"

namespace culvert::ssh {
namespace {

using test::Conversation;
using test::run_everywhere;

constexpr std::uint32_t kTheirs = 7;

// Under number kTheirs, in one step.
ChannelId session(Conversation& c) {
  ChannelId id = UINT32_MAX;
  c.send(ChannelOpenMessage{"session", kTheirs, 1 << 20, 32768, Rest{}});
  c.expect_event<ChannelRequested>([&](ChannelRequested& e) {
    EXPECT_EQ(e.type, "session");
    EXPECT_EQ(e.host, "");
    id = e.id;
  });
  c.command([&](Session& s) { s.accept_channel(id); });
  c.expect_message<ChannelOpenConfirmationMessage>();
  return id;
}
void ask(Conversation& c, ChannelId id, std::string_view name, bool want_reply = true,
         std::string_view data = "data") {
  c.send(ChannelRequestMessage{id, name, want_reply, Rest{as_bytes(data)}});
}
void expect_asked(Conversation& c, ChannelId id, std::string_view name, bool want_reply = true,
                  std::string_view data = "data") {
  c.expect_event<ChannelAsked>([=](ChannelAsked& e) {
    EXPECT_EQ(e.id, id);
    EXPECT_EQ(e.name, name);
    EXPECT_EQ(e.want_reply, want_reply);
    EXPECT_EQ(as_text(e.data), data);
  });
}
void answer(Conversation& c, ChannelId id, bool success) {
  c.command([=](Session& s) { s.reply_channel(id, success); });
}
void expect_answer(Conversation& c, bool success) {
  if (!success) {
    return c.expect_message<ChannelFailureMessage>(
        [](const ChannelFailureMessage& m) { EXPECT_EQ(m.recipient, kTheirs); });
  }
  c.expect_message<ChannelSuccessMessage>(
      [](const ChannelSuccessMessage& m) { EXPECT_EQ(m.recipient, kTheirs); });
}

TEST(SessionChannel, ShowsSomethingAndEnds) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    const ChannelId id = session(c);
    ask(c, id, "env", false);
    expect_asked(c, id, "env", false);
    for (const std::string_view name : {"pty-req", "shell"}) {
      ask(c, id, name);
      expect_asked(c, id, name);
      c.expect_silence();
      answer(c, id, true);
      expect_answer(c, true);
    }
    c.command([=](Session& s) { EXPECT_EQ(s.send(id, as_bytes("text")), 4u); });
    c.expect_message<ChannelDataMessage>();
    c.send(ChannelDataMessage{id, as_bytes("\3")});
    c.expect_event<ChannelData>();
    c.command([=](Session& s) {
      s.send_eof(id);
      s.send_exit_status(id, 258);
    });
    c.close(id);
    c.command([=](Session& s) { s.send_exit_status(id, 1); });
    c.expect_message<ChannelEofMessage>();
    c.expect_message<ChannelRequestMessage>([](const ChannelRequestMessage& m) {
      EXPECT_EQ(m.recipient, kTheirs);
      EXPECT_EQ(m.type, "exit-status");
      EXPECT_FALSE(m.want_reply);
      EXPECT_TRUE(std::ranges::equal(m.data.bytes, Bytes{0, 0, 1, 2}));
    });
    c.expect_message<ChannelCloseMessage>();
    ask(c, id, "signal");  // it crossed our close
    c.expect_silence();
    c.send(ChannelCloseMessage{id});
    c.expect_event<ChannelClosed>();
    answer(c, id, true);
    c.expect_silence();
  });
}

TEST(SessionChannel, RequestsInARow) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    const ChannelId id = session(c);
    for (const std::string_view name : {"x11-req", "env", "exec"}) ask(c, id, name, name != "env");
    for (const std::string_view name : {"x11-req", "env", "exec"}) expect_asked(c, id, name, name != "env");
    answer(c, id, false);
    expect_answer(c, false);
    answer(c, id, true);
    expect_answer(c, true);
    answer(c, id, true);  // nobody waits for it
    answer(c, id + 1, true);
    c.expect_silence();
    const std::string name(5000, 'x');
    ask(c, id, name, false);
    expect_asked(c, id, name.substr(0, 4096), false);
  });
}

TEST(SessionChannel, OnlySoManyUnanswered) {
  test::run(Role::server, [](Conversation& c) {
    c.connect();
    const ChannelId id = session(c);
    for (int i = 0; i < 32; ++i) {
      ask(c, id, "env");
      expect_asked(c, id, "env");
    }
    answer(c, id, true);
    expect_answer(c, true);
    ask(c, id, "env");
    expect_asked(c, id, "env");
    ask(c, id, "env", false);
    expect_asked(c, id, "env", false);
    ask(c, id, "env");
    c.expect_event<ChannelClosed>();
    c.expect_protocol_error("too many requests on a channel");
  });
}

TEST(SessionChannel, AnswersWaitForNewKeys) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    const ChannelId id = session(c);
    ask(c, id, "shell");
    expect_asked(c, id, "shell");
    c.command([](Session& s) { s.request_rekey(); });
    answer(c, id, true);
    c.command([=](Session& s) { s.send_exit_status(id, 0); });
    c.exchange_keys(true);
    expect_answer(c, true);
    c.expect_message<ChannelRequestMessage>();
  });
}

// On a forwarded stream nothing is asked about, and none of the commands does anything.
TEST(SessionChannel, OtherChannelsHaveNone) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    const ChannelId id = c.accepted(kTheirs);
    ask(c, id, "exec");
    expect_answer(c, false);
    ask(c, id, "exec", false);
    answer(c, id, true);
    c.command([=](Session& s) { s.send_exit_status(id, 0); });
    c.expect_silence();
  });
}

TEST(SessionChannel, HasNoFieldsOfItsOwn) {
  test::run(Role::server, [](Conversation& c) {
    c.connect();
    c.send(ChannelOpenMessage{"session", kTheirs, 1000, 1000, Rest{as_bytes("x")}});
    c.expect_protocol_error("session channel with fields");
  });
}

}  // namespace
}  // namespace culvert::ssh

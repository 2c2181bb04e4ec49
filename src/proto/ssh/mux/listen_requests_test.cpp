// SPDX-License-Identifier: Apache-2.0
// Scripts of what a client asks a server for outside of channels: listeners (RFC 4254 section 7.1, PROTOCOL
// of OpenSSH, section 2.4), and no more sessions.
#include <gtest/gtest.h>

#include "tests/support/conversation.hpp"

namespace culvert::ssh {
namespace {

using test::Conversation;
using test::run_everywhere;

template <class Fields>
Bytes request(std::string_view name, const Fields& fields, bool want_reply = true) {
  Bytes data;
  encode_fields(data, fields);
  return encoded(GlobalRequestMessage{name, want_reply, Rest{data}});
}
Bytes tcp(std::string_view address, std::uint32_t port, bool cancel = false) {
  return request(cancel ? "cancel-tcpip-forward" : "tcpip-forward", TcpipForward{address, port});
}
Bytes path(std::string_view name, bool cancel = false) {
  return request(cancel ? "cancel-streamlocal-forward@openssh.com" : "streamlocal-forward@openssh.com",
                 StreamlocalForward{name});
}
void expect_listen(Conversation& c, std::string_view host, std::uint32_t port, bool cancel = false,
                   bool is_path = false) {
  c.expect_event<ListenRequested>([=](ListenRequested& e) {
    EXPECT_EQ(e.host, host);
    EXPECT_EQ(e.port, port);
    EXPECT_EQ(e.cancel, cancel);
    EXPECT_EQ(e.is_path, is_path);
  });
}
void answer(Conversation& c, bool success, std::uint32_t port = 0) {
  c.command([=](Session& s) { s.reply_listen(success, port); });
}
void expect_success(Conversation& c, ByteView data = {}) {
  c.expect_message<RequestSuccessMessage>(
      [&](const RequestSuccessMessage& m) { EXPECT_TRUE(std::ranges::equal(m.data.bytes, data)); });
  c.expect_silence();
}

void ends_with_too_many(Conversation& c) { c.expect_protocol_error("too many global requests"); }

TEST(ListenRequests, OfAllKinds) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    c.send_raw(tcp("localhost", 8080));
    expect_listen(c, "localhost", 8080);
    c.expect_silence();
    answer(c, true, 8080);  // the port was known
    expect_success(c);
    c.send_raw(tcp("", 0));
    expect_listen(c, "", 0);
    answer(c, true, 40000);
    expect_success(c, Bytes{0, 0, 0x9C, 0x40});
    c.send_raw(tcp("", 0));
    expect_listen(c, "", 0);
    answer(c, false, 40000);
    c.expect_message<RequestFailureMessage>();
    c.send_raw(tcp("::1", 0, true));
    expect_listen(c, "::1", 0, true);
    answer(c, true, 40000);
    expect_success(c);
    c.send_raw(path("/run/a"));
    expect_listen(c, "/run/a", 0, false, true);
    answer(c, true, 40000);
    expect_success(c);
    c.send_raw(path("/run/a", true));
    expect_listen(c, "/run/a", 0, true, true);
    answer(c, false);
    c.expect_message<RequestFailureMessage>();
    c.send_raw(request("tcpip-forward", TcpipForward{"a", 1}, false));
    c.send_raw(tcp("b", 2));
    expect_listen(c, "a", 1);
    expect_listen(c, "b", 2);
    answer(c, false);  // nobody waits for this one
    c.expect_silence();
    answer(c, true);
    expect_success(c);
  });
}

TEST(ListenRequests, AnswersKeepTheOrderOfTheRequests) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    c.send_raw(tcp("", 0));
    c.send(GlobalRequestMessage{"other", true, Rest{}});
    c.send_raw(path("/run/a"));
    c.send(GlobalRequestMessage{"keepalive@openssh.com", true, Rest{}});
    expect_listen(c, "", 0);
    c.expect_event<GlobalRequested>();
    expect_listen(c, "/run/a", 0, false, true);
    c.command([](Session& s) { s.reply_global(true, as_bytes("other")); });  // waits for the first
    c.expect_silence();
    answer(c, true, 1);
    c.expect_message<RequestSuccessMessage>(
        [](const RequestSuccessMessage& m) { EXPECT_EQ(m.data.bytes.size(), 4u); });
    expect_success(c, as_bytes("other"));
    answer(c, true, 2);
    c.expect_message<RequestSuccessMessage>(
        [](const RequestSuccessMessage& m) { EXPECT_TRUE(m.data.bytes.empty()); });
    c.expect_message<RequestFailureMessage>();
    answer(c, true, 3);
    c.command([](Session& s) { s.reply_global(true, {}); });
    c.expect_silence();
  });
}

TEST(ListenRequests, ImpossibleOnesAreRefused) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    const std::string name(1025, 'x');
    for (const Bytes& payload : {tcp("", 65536), tcp(name, 1), path(name), path(name, true)}) {
      c.send_raw(payload);
      c.expect_message<RequestFailureMessage>();
      c.expect_silence();
    }
    c.send_raw(request("tcpip-forward", TcpipForward{name, 1}, false));
    c.expect_silence();
    c.send_raw(tcp("", 1));  // and in their place
    c.send_raw(tcp("", 65536));
    expect_listen(c, "", 1);
    c.expect_silence();
    answer(c, true);
    c.expect_message<RequestSuccessMessage>();
    c.expect_message<RequestFailureMessage>();
  });
}

TEST(ListenRequests, MalformedOnesEndTheSession) {
  for (const std::string_view name : {"tcpip-forward", "cancel-streamlocal-forward@openssh.com"}) {
    for (const std::string_view data : {"", "data", "\0\0\0\1a\0\0\0\0more"}) {
      test::run(Role::server, [&](Conversation& c) {
        c.connect();
        c.send(GlobalRequestMessage{name, true, Rest{as_bytes(data)}});
        c.expect_end(Errc::malformed);
        c.expect_goodbye(DisconnectReason::protocol_error);
      });
    }
  }
}

TEST(ListenRequests, TooManyAtOnce) {
  Conversation::Options options;
  options.machine.limits.global_requests_pending = 3;
  test::run(
      Role::server,
      [](Conversation& c) {
        c.connect();
        for (std::uint32_t port = 1; port <= 3; ++port) {
          c.send_raw(tcp("", port));
          expect_listen(c, "", port);
        }
        c.send_raw(tcp("", 65536));  // its refusal would have to wait as well
        ends_with_too_many(c);
      },
      options);
}

// Those that want no answer are work, too.
TEST(ListenRequests, TooManyUntoldAtOnce) {
  Conversation::Options options;
  options.machine.limits.global_requests_pending = 3;
  run_everywhere(
      Role::server,
      [](Conversation& c) {
        c.connect();
        const Bytes untold = request("tcpip-forward", TcpipForward{"", 1}, false);
        for (int round = 0; round < 2; ++round) {
          for (int i = 0; i < 3; ++i) {
            c.send_raw(untold);
            expect_listen(c, "", 1);
          }
          for (int i = 0; round == 0 && i < 3; ++i) answer(c, true);
        }
        c.send_raw(untold);
        ends_with_too_many(c);
      },
      options);
}

// ssh asks for each of its -R at once.
TEST(ListenRequests, AThousandAtOnce) {
  test::run(Role::server, [](Conversation& c) {
    c.connect();
    for (std::uint32_t port = 1; port <= 1024; ++port) c.send_raw(tcp(std::string(1024, 'x'), port));
    for (std::uint32_t port = 1; port <= 1024; ++port) expect_listen(c, std::string(1024, 'x'), port);
    c.send_raw(tcp("", 1));
    ends_with_too_many(c);
  });
}

TEST(ListenRequests, NoMoreSessions) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    const auto open = [&](std::string_view type) { c.send(ChannelOpenMessage{type, 7, 1000, 1000, Rest{}}); };
    open("session");
    c.expect_event<ChannelRequested>([](ChannelRequested& e) { EXPECT_EQ(e.type, "session"); });
    c.refuse(0);
    c.expect_message<ChannelOpenFailureMessage>();
    c.send(GlobalRequestMessage{"no-more-sessions@openssh.com", false, Rest{}});
    c.expect_silence();
    c.send(GlobalRequestMessage{"no-more-sessions@openssh.com", true, Rest{}});
    expect_success(c);
    open("session");
    c.expect_message<ChannelOpenFailureMessage>([](const ChannelOpenFailureMessage& m) {
      EXPECT_EQ(m.recipient, 7u);
      EXPECT_EQ(m.reason, 1u);
    });
    c.expect_silence();
    static_cast<void>(c.accepted(8));  // others may still be opened
  });
}

}  // namespace
}  // namespace culvert::ssh

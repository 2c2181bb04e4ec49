// SPDX-License-Identifier: Apache-2.0
// Which run of a program a client is ("instance@culvert"): told to a server that says it understands, and to
// no other; heard by a server once.
#include <gtest/gtest.h>

#include "base/wire.hpp"
#include "tests/support/conversation.hpp"
#include "tests/support/session_pair.hpp"

namespace culvert::ssh {
namespace {

using test::Conversation;
using test::run_everywhere;
using test::SessionPair;

constexpr InstanceId kId = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

Bytes told(ByteView id, bool want_reply) {
  Bytes data;
  encode_fields(data, InstanceRequest{id});
  return encoded(GlobalRequestMessage{InstanceRequest::kName, want_reply, Rest{data}});
}
void expect_told(Conversation& c) {
  c.expect_event<InstanceTold>([](InstanceTold& e) { EXPECT_EQ(e.id, kId); });
}
Bytes extensions(std::string_view name, std::string_view value) {
  Bytes pairs;
  Writer(pairs).text("server-sig-algs").text("ssh-ed25519").text(name).text(value);
  return encoded(ExtInfoMessage{2, Rest{pairs}});
}

// ---- a server

TEST(Instance, AServerNamesItToCulvertAlone) {
  const auto names_it = [](const std::string& identification) {
    bool found = false;
    test::run(Role::server, [&](Conversation& c) {
      c.exchange_up_to_new_keys(identification);
      c.expect_message<ExtInfoMessage>([&](const ExtInfoMessage& m) {
        const std::string_view extensions = as_text(m.extensions.bytes);
        found = extensions.find("instance@culvert") != extensions.npos;
        EXPECT_EQ(m.count, found ? 4u : 3u);
      });
    });
    return found;
  };
  EXPECT_TRUE(names_it("SSH-2.0-culvert_99.1 anything"));
  EXPECT_FALSE(names_it("SSH-2.0-OpenSSH_9.2p1 Debian-2"));
  EXPECT_FALSE(names_it("SSH-2.0-culvertish"));
}

TEST(Instance, AServerHearsItOnce) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    c.send_raw(told(kId, false));
    expect_told(c);
    c.send_raw(told(kId, false));
    c.send_raw(told(InstanceId{}, false));
    c.expect_silence();
    c.send_raw(told(kId, true));
    c.expect_message<RequestFailureMessage>();
  });
}

TEST(Instance, AServerAnswersIfThatIsWanted) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    c.send_raw(told(kId, true));
    expect_told(c);
    c.expect_message<RequestSuccessMessage>();
  });
}

TEST(Instance, OfAnotherSizeIsRefusedLikeAnUnknownName) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    for (const std::size_t size : {0u, 15u, 17u, 5000u}) {
      c.send_raw(told(Bytes(size, 1), true));
      c.expect_message<RequestFailureMessage>();
      c.send_raw(told(Bytes(size, 1), false));
      c.expect_silence();
    }
    c.send_raw(told(kId, false));
    expect_told(c);
  });
}

TEST(Instance, ThatCannotBeReadEndsTheSession) {
  for (const bool more : {true, false}) {
    run_everywhere(Role::server, [&](Conversation& c) {
      c.connect();
      Bytes payload = told(kId, false);
      more ? payload.push_back(0) : payload.pop_back();
      c.send_raw(payload);
      c.expect_end(Errc::malformed);
      c.expect_goodbye(DisconnectReason::protocol_error);
    });
  }
}

TEST(Instance, IsNothingBeforeTheLogin) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.start_authentication();
    c.send_raw(told(kId, false));
    c.expect_protocol_error("message 80 is not allowed");
  });
}

// ---- a client

// Logs in to a server that sends this before, if it is not empty.
void log_in(Conversation& c, ByteView ext_info) {
  c.start_authentication();
  c.expect_event<AuthNext>();
  if (!ext_info.empty()) c.send_raw(ext_info);
  c.expect_silence();
  c.command([](Session& s) { s.try_none(); });
  c.expect_message<UserauthRequestMessage>();
  c.send(UserauthSuccessMessage{});
  c.expect_event<Authenticated>();
}

TEST(Instance, IsToldBehindTheLogin) {
  Conversation::Options options;
  options.machine.instance = kId;
  run_everywhere(
      Role::client,
      [](Conversation& c) {
        log_in(c, extensions("instance@culvert", "0"));
        c.expect_payload(
            [](ByteView payload) { EXPECT_TRUE(std::ranges::equal(payload, told(kId, false))); });
        c.expect_silence();
        c.exchange_keys();  // and not again
      },
      options);
}

TEST(Instance, IsToldToNobodyElse) {
  Conversation::Options options;
  options.machine.instance = kId;
  for (const Bytes& ext_info :
       {Bytes(), extensions("instance@culvert", "1"), extensions("instance@culvert", ""),
        extensions("instance@culvert.example", "0")}) {
    run_everywhere(Role::client, [&](Conversation& c) { log_in(c, ext_info); }, options);
  }
  run_everywhere(Role::client, [](Conversation& c) { log_in(c, extensions("instance@culvert", "0")); });
}

// ---- both

TEST(Instance, ComesBeforeAllThatTheClientAsksFor) {
  SessionPair::Options options;
  options.client.instance = options.server.instance = kId;
  SessionPair pair(std::move(options));
  pair.client.on_event = [&](const Event& event) {
    if (!std::holds_alternative<Authenticated>(event)) return false;
    Bytes data;
    encode_fields(data, TcpipForward{"localhost", 8080});
    pair.client.session.send_global_request("tcpip-forward", data, true, 1);
    return false;
  };
  std::optional<InstanceId> heard;
  pair.server.on_event = [&](const Event& event) {
    if (const auto* one = std::get_if<InstanceTold>(&event)) heard = one->id;
    if (std::holds_alternative<ListenRequested>(event)) EXPECT_EQ(heard, kId);
    return false;
  };
  ASSERT_TRUE(pair.join());
  EXPECT_EQ(std::ranges::count(pair.server.log, "ListenRequested"), 1);
  EXPECT_EQ(std::ranges::count(pair.server.log, "InstanceTold"), 1);
  EXPECT_EQ(std::ranges::count(pair.client.log, "InstanceTold"), 0);
}

}  // namespace
}  // namespace culvert::ssh

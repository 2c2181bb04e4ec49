// SPDX-License-Identifier: Apache-2.0
// Scripts of opening channels, asked for by either side.
#include <gtest/gtest.h>

#include "tests/support/conversation.hpp"

namespace culvert::ssh {
namespace {

using test::Conversation;
using test::kRoles;
using test::run_everywhere;

// ---- we ask

TEST(ChannelOpen, Confirmed) {
  for (const Role role : kRoles) {
    run_everywhere(role, [](Conversation& c) {
      c.connect();
      const ChannelId id = c.open();
      c.expect_message<ChannelOpenMessage>([&](const ChannelOpenMessage& m) {
        EXPECT_EQ(m.type, "direct-tcpip");
        EXPECT_EQ(m.sender, id);
        EXPECT_EQ(m.window, Limits{}.window_initial);
        EXPECT_EQ(m.max_packet, 32768u);
        const auto target = decode_fields<TcpipOpen>(m.type_fields.bytes);
        ASSERT_TRUE(target);
        EXPECT_EQ(target->host, "target");
        EXPECT_EQ(target->port, 80u);
        EXPECT_EQ(target->origin_host, "127.0.0.1");
        EXPECT_EQ(target->origin_port, 1234u);
      });
      c.command([&](Session& s) {  // not yet
        EXPECT_EQ(s.sendable(id), 0u);
        EXPECT_EQ(s.send(id, as_bytes("early")), 0u);
        s.send_eof(id);
      });
      c.expect_silence();
      c.send(ChannelOpenConfirmationMessage{id, 7, 1000, 500, Rest{as_bytes("type-specific")}});
      c.expect_event<ChannelOpened>([&](ChannelOpened& e) { EXPECT_EQ(e.id, id); });
      c.command([&](Session& s) {
        EXPECT_EQ(s.sendable(id), 1000u);
        EXPECT_EQ(s.send(id, as_bytes("data")), 4u);
      });
      c.expect_message<ChannelDataMessage>([](const ChannelDataMessage& m) {
        EXPECT_EQ(m.recipient, 7u);
        EXPECT_EQ(as_text(m.data), "data");
      });
    });
  }
}

TEST(ChannelOpen, UnixSockets) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.connect();
    c.open_by([](Session& s) { return s.open_direct_streamlocal("/run/socket"); });
    c.expect_message<ChannelOpenMessage>([](const ChannelOpenMessage& m) {
      EXPECT_EQ(m.type, "direct-streamlocal@openssh.com");
      const auto target = decode_fields<DirectStreamlocalOpen>(m.type_fields.bytes);
      ASSERT_TRUE(target);
      EXPECT_EQ(target->path, "/run/socket");
    });
  });
}

TEST(ChannelOpen, ForwardedConnections) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    c.open_by([](Session& s) { return s.open_forwarded_tcpip("0.0.0.0", 8080, "192.0.2.1", 999); });
    c.expect_message<ChannelOpenMessage>([](const ChannelOpenMessage& m) {
      EXPECT_EQ(m.type, "forwarded-tcpip");
      const auto target = decode_fields<TcpipOpen>(m.type_fields.bytes);
      ASSERT_TRUE(target);
      EXPECT_EQ(target->host, "0.0.0.0");
      EXPECT_EQ(target->port, 8080u);
      EXPECT_EQ(target->origin_host, "192.0.2.1");
      EXPECT_EQ(target->origin_port, 999u);
    });
  });
}

TEST(ChannelOpen, NamesThatFitIntoNoPacket) {
  test::run(Role::client, [](Conversation& c) {
    c.connect();
    c.command([](Session& s) {
      const auto opened = s.open_direct_streamlocal(std::string(40'000, 'x'));
      ASSERT_FALSE(opened);
      EXPECT_EQ(static_cast<int>(opened.error().code), static_cast<int>(Errc::usage));
      EXPECT_EQ(s.channel_count(), 0u);
    });
    c.expect_silence();
  });
}

TEST(ChannelOpen, RefusedAndTheIdIsFree) {
  for (const Role role : kRoles) {
    run_everywhere(role, [](Conversation& c) {
      c.connect();
      const ChannelId id = c.open();
      c.expect_message<ChannelOpenMessage>();
      c.send(ChannelOpenFailureMessage{id, 77, std::string(5000, 'x'), "de"});
      c.expect_event<ChannelOpenFailed>([&](ChannelOpenFailed& e) {
        EXPECT_EQ(e.id, id);
        EXPECT_EQ(static_cast<std::uint32_t>(e.reason), 77u);  // as it came
        EXPECT_EQ(e.description, std::string(4096, 'x'));
      });
      c.open();
      c.expect_message<ChannelOpenMessage>([&](const ChannelOpenMessage& m) { EXPECT_EQ(m.sender, id); });
    });
  }
}

TEST(ChannelOpen, AnswersForChannelsThatAreNotBeingOpened) {
  const auto confirmation = [](std::uint32_t id) {
    return encoded(ChannelOpenConfirmationMessage{id, 0, 1000, 1000, Rest{}});
  };
  const auto refusal = [](std::uint32_t id) { return encoded(ChannelOpenFailureMessage{id, 2, "", ""}); };
  for (const bool confirms : {true, false}) {
    const auto answer = [&](std::uint32_t id) { return confirms ? confirmation(id) : refusal(id); };
    const std::string_view text = confirms ? "confirmed that was not" : "refused that was not";
    for (const std::uint32_t id : {0u, 1u, UINT32_MAX}) {
      run_everywhere(Role::client, [&](Conversation& c) {
        c.connect();
        c.send_raw(answer(id));
        c.expect_protocol_error(text);
      });
    }
    run_everywhere(Role::client, [&](Conversation& c) {  // one that is open: it is given back
      c.connect();
      c.send_raw(answer(c.opened(5)));
      c.expect_event<ChannelClosed>();
      c.expect_protocol_error(text);
    });
    run_everywhere(Role::server, [&](Conversation& c) {  // one that the peer itself asks for
      c.connect();
      c.send_raw(c.open_request(3));
      c.expect_event<ChannelRequested>();
      c.send_raw(answer(0));
      c.expect_event<ChannelClosed>();
      c.expect_protocol_error(text);
    });
  }
}

TEST(ChannelOpen, NothingElseMayComeBeforeTheAnswer) {
  const Bytes payloads[] = {
      encoded(ChannelWindowAdjustMessage{0, 1}),
      encoded(ChannelDataMessage{0, as_bytes("x")}),
      encoded(ChannelExtendedDataMessage{0, 1, as_bytes("x")}),
      encoded(ChannelEofMessage{0}),
      encoded(ChannelCloseMessage{0}),
  };
  for (const Bytes& payload : payloads) {
    run_everywhere(Role::client, [&](Conversation& c) {
      c.connect();
      c.open();
      c.expect_message<ChannelOpenMessage>();
      c.send(ChannelRequestMessage{0, "keepalive@openssh.com", true, Rest{}});  // of one with this id before
      c.expect_silence();
      c.send_raw(payload);
      c.expect_event<ChannelClosed>([](ChannelClosed& e) { EXPECT_TRUE(e.is_cut); });  // nobody refused it
      c.expect_protocol_error("channel 0, which is not open");
    });
    run_everywhere(Role::server, [&](Conversation& c) {
      c.connect();
      c.send_raw(c.open_request(3));
      c.expect_event<ChannelRequested>();
      c.send_raw(payload);
      c.expect_event<ChannelClosed>();
      c.expect_protocol_error("channel 0, which is not open");
    });
  }
}

// Whoever waits for ChannelOpened or ChannelOpenFailed is told that neither comes.
TEST(ChannelOpen, ConfirmedWithPacketsOfNothing) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.connect();
    const ChannelId id = c.open();
    c.expect_message<ChannelOpenMessage>();
    c.send(ChannelOpenConfirmationMessage{id, 7, 1000, 0, Rest{}});
    c.expect_event<ChannelClosed>();
    c.expect_protocol_error("maximum packet size of 0");
  });
}

// ---- the peer asks

TEST(ChannelOpen, RequestedAndAccepted) {
  for (const Role role : kRoles) {
    run_everywhere(role, [&](Conversation& c) {
      c.connect();
      c.send_raw(c.open_request(9, 1000, 600));
      c.expect_event<ChannelRequested>([&](ChannelRequested& e) {
        EXPECT_EQ(e.id, 0u);
        EXPECT_EQ(e.type, role == Role::server ? "direct-tcpip" : "forwarded-tcpip");
        EXPECT_EQ(e.host, "target");
        EXPECT_EQ(e.port, 80u);
        EXPECT_EQ(e.origin_host, "127.0.0.1");
        EXPECT_EQ(e.origin_port, 1234u);
      });
      c.command([](Session& s) {
        EXPECT_EQ(s.send(0, as_bytes("early")), 0u);
        s.send_eof(0);
      });
      c.expect_silence();
      c.command([](Session& s) {
        s.accept_channel(0);
        s.accept_channel(0);
        s.refuse_channel(0, OpenFailure::connect_failed, "too late");
      });
      c.expect_message<ChannelOpenConfirmationMessage>([](const ChannelOpenConfirmationMessage& m) {
        EXPECT_EQ(m.recipient, 9u);
        EXPECT_EQ(m.sender, 0u);
        EXPECT_EQ(m.window, Limits{}.window_initial);
        EXPECT_EQ(m.max_packet, 32768u);
      });
      c.expect_silence();
      c.command([](Session& s) { EXPECT_EQ(s.sendable(0), 1000u); });
    });
  }
}

TEST(ChannelOpen, RequestedAndRefused) {
  for (const Role role : kRoles) {
    run_everywhere(role, [&](Conversation& c) {
      c.connect();
      c.send_raw(c.open_request(9));
      c.expect_event<ChannelRequested>();
      c.refuse(0);
      c.expect_message<ChannelOpenFailureMessage>([](const ChannelOpenFailureMessage& m) {
        EXPECT_EQ(m.recipient, 9u);
        EXPECT_EQ(m.reason, static_cast<std::uint32_t>(OpenFailure::connect_failed));
        EXPECT_EQ(m.description, "refused");
      });
      c.command([](Session& s) { s.accept_channel(0); });
      c.expect_silence();
    });
  }
}

TEST(ChannelOpen, AnsweredInAnotherOrder) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    for (const std::uint32_t theirs : {10, 11, 12}) {
      c.send_raw(c.open_request(theirs));
      c.expect_event<ChannelRequested>([&](ChannelRequested& e) { EXPECT_EQ(e.id + 10, theirs); });
    }
    c.command([](Session& s) { s.accept_channel(2); });
    c.expect_message<ChannelOpenConfirmationMessage>(
        [](const ChannelOpenConfirmationMessage& m) { EXPECT_EQ(m.recipient, 12u); });
    c.refuse(0);
    c.expect_message<ChannelOpenFailureMessage>(
        [](const ChannelOpenFailureMessage& m) { EXPECT_EQ(m.recipient, 10u); });
    c.command([](Session& s) { s.accept_channel(1); });
    c.expect_message<ChannelOpenConfirmationMessage>(
        [](const ChannelOpenConfirmationMessage& m) { EXPECT_EQ(m.recipient, 11u); });
  });
}

TEST(ChannelOpen, UnixSocketRequested) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    Bytes fields;
    encode_fields(fields, DirectStreamlocalOpen{"/run/socket", "", 0});
    c.send(ChannelOpenMessage{"direct-streamlocal@openssh.com", 4, 1, 1, Rest{fields}});
    c.expect_event<ChannelRequested>([](ChannelRequested& e) { EXPECT_EQ(e.host, "/run/socket"); });
  });
}

// ---- the mux refuses by itself, and goes on

void refused(Role role, const Bytes& request, OpenFailure reason) {
  run_everywhere(role, [&](Conversation& c) {
    c.connect();
    c.send_raw(request);
    c.expect_message<ChannelOpenFailureMessage>([&](const ChannelOpenFailureMessage& m) {
      EXPECT_EQ(m.recipient, 4u);
      EXPECT_EQ(m.reason, static_cast<std::uint32_t>(reason));
    });
    c.expect_silence();
  });
}

Bytes request(std::string_view type, const TcpipOpen& target, std::uint32_t max_packet = 32768) {
  Bytes fields;
  encode_fields(fields, target);
  return encoded(ChannelOpenMessage{type, 4, 1000, max_packet, Rest{fields}});
}

TEST(ChannelOpen, TypesThatDoNotFit) {
  const TcpipOpen target{"target", 80, "127.0.0.1", 1234};
  refused(Role::client, request("direct-tcpip", target), OpenFailure::unknown_channel_type);
  refused(Role::server, request("forwarded-tcpip", target), OpenFailure::unknown_channel_type);
  refused(Role::client, encoded(ChannelOpenMessage{"session", 4, 1000, 1000, Rest{}}),
          OpenFailure::unknown_channel_type);
  for (const Role role : kRoles) {
    refused(role, encoded(ChannelOpenMessage{"", 4, 0, 0, Rest{}}), OpenFailure::unknown_channel_type);
  }
  Bytes path;
  encode_fields(path, DirectStreamlocalOpen{"/run/socket", "", 0});
  refused(Role::client, encoded(ChannelOpenMessage{"direct-streamlocal@openssh.com", 4, 1, 1, Rest{path}}),
          OpenFailure::unknown_channel_type);
}

TEST(ChannelOpen, ImpossibleDestinations) {
  const std::string name(4097, 'x');
  refused(Role::server, request("direct-tcpip", {"target", 65536, "", 0}), OpenFailure::connect_failed);
  refused(Role::server, request("direct-tcpip", {name, 80, "", 0}), OpenFailure::connect_failed);
  refused(Role::server, request("direct-tcpip", {"target", 80, name, 0}), OpenFailure::connect_failed);
  refused(Role::client, request("forwarded-tcpip", {"target", 80, name, 0}), OpenFailure::connect_failed);
  Bytes path;
  encode_fields(path, DirectStreamlocalOpen{name, "", 0});
  refused(Role::server, encoded(ChannelOpenMessage{"direct-streamlocal@openssh.com", 4, 1, 1, Rest{path}}),
          OpenFailure::connect_failed);
  refused(Role::server, request("direct-tcpip", {"target", 80, "", 0}, 0), OpenFailure::resource_shortage);
}

TEST(ChannelOpen, MalformedFieldsEndTheSession) {
  for (const Bytes& fields : {Bytes{}, Bytes{0xFF, 0xFF, 0xFF, 0xFF}, Bytes(17), Bytes(15)}) {
    test::run(Role::server, [&](Conversation& c) {
      c.connect();
      c.send(ChannelOpenMessage{"direct-tcpip", 4, 1000, 1000, Rest{fields}});
      c.expect_end(Errc::malformed);
      c.expect_goodbye(DisconnectReason::protocol_error);
    });
  }
}

TEST(ChannelOpen, AsManyAsAreAllowed) {
  Conversation::Options options;
  options.machine.limits.channels = 3;
  for (const Role role : kRoles) {
    run_everywhere(
        role,
        [](Conversation& c) {
          c.connect();
          const ChannelId first = c.opened(20);
          c.open();
          c.expect_message<ChannelOpenMessage>();
          c.send_raw(c.open_request(21));
          c.expect_event<ChannelRequested>();  // channels that are not open yet count as well

          c.command([](Session& s) {
            const auto fourth = s.open_direct_tcpip("target", 80, "", 0);
            ASSERT_FALSE(fourth);
            EXPECT_EQ(static_cast<int>(fourth.error().code), static_cast<int>(Errc::limit));
          });
          c.send_raw(c.open_request(22));
          c.expect_message<ChannelOpenFailureMessage>([](const ChannelOpenFailureMessage& m) {
            EXPECT_EQ(m.recipient, 22u);
            EXPECT_EQ(m.reason, static_cast<std::uint32_t>(OpenFailure::resource_shortage));
          });
          c.send(ChannelCloseMessage{first});
          c.expect_message<ChannelCloseMessage>();
          c.expect_event<ChannelClosed>();
          c.accepted(23);
        },
        options);
  }
}

TEST(ChannelOpen, NotBeforeLogin) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.start_authentication();
    c.expect_event<AuthNext>();
    c.command([](Session& s) {
      const auto early = s.open_direct_tcpip("target", 80, "", 0);
      ASSERT_FALSE(early);
      EXPECT_EQ(static_cast<int>(early.error().code), static_cast<int>(Errc::closed));
    });
    c.expect_silence();
  });
}

}  // namespace
}  // namespace culvert::ssh

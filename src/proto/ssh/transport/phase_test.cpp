// SPDX-License-Identifier: Apache-2.0
// What may come when, written down a second time from the RFCs and not from phase.cpp: first against its
// table, then against living machines.
#include "proto/ssh/transport/phase.hpp"

#include <set>

#include <gtest/gtest.h>

#include "tests/support/conversation.hpp"

namespace culvert::ssh {
namespace {

using test::Conversation;
using test::kRoles;
using test::run_everywhere;
using test::ScriptedPeer;
using Numbers = std::set<unsigned>;

// All numbers that some RFC or OpenSSH gives a meaning, as far as we know them.
bool known(unsigned number) {
  return (number >= 1 && number <= 7) || (number >= 20 && number <= 21) || (number >= 30 && number <= 49) ||
         (number >= 50 && number <= 53) || (number >= 60 && number <= 61) || (number >= 80 && number <= 82) ||
         (number >= 90 && number <= 100) || (number >= 192 && number <= 193);
}

// What `receiver` takes in each phase, beside DISCONNECT, IGNORE, UNIMPLEMENTED and DEBUG.
Numbers taken(Role receiver, Phase phase) {
  const bool client = receiver == Role::client;
  switch (phase) {
    case Phase::first_kexinit:
      return {20};
    case Phase::first_exchange:
    case Phase::rekey_exchange:
      return client ? Numbers{31} : Numbers{30};
    case Phase::first_newkeys:
    case Phase::rekey_newkeys:
      return {21};
    case Phase::service:
      return client ? Numbers{6, 7, 20} : Numbers{5, 7};
    case Phase::authentication:
      return client ? Numbers{7, 20, 51, 52, 53, 60} : Numbers{7, 50, 61};
    case Phase::connected: {
      Numbers numbers{20, 80, 81, 82, 192, 193};
      for (unsigned number = 90; number <= 100; ++number) numbers.insert(number);
      if (!client) numbers.insert(50);  // RFC 4252 section 5.1: late requests are ignored
      return numbers;
    }
  }
  return {};
}

Verdict expected(Role receiver, Phase phase, unsigned number, bool strict) {
  const bool first =
      phase == Phase::first_kexinit || phase == Phase::first_exchange || phase == Phase::first_newkeys;
  const bool between = phase == Phase::service || phase == Phase::authentication || phase == Phase::connected;
  if (number == 1) return Verdict::accept;
  if (number >= 2 && number <= 4) return strict && first ? Verdict::forbidden : Verdict::accept;
  if (taken(receiver, phase).contains(number)) return Verdict::accept;
  return between && !known(number) ? Verdict::unimplemented : Verdict::forbidden;
}

TEST(Phase, TableSaysWhatTheProtocolSays) {
  for (const Role role : kRoles) {
    for (unsigned phase = 0; phase < kPhases; ++phase) {
      for (unsigned number = 0; number < 256; ++number) {
        for (const bool strict : {true, false}) {
          const auto at = static_cast<Phase>(phase);
          EXPECT_EQ(judge(role, at, static_cast<std::uint8_t>(number), strict),
                    expected(role, at, number, strict))
              << (role == Role::client ? "client" : "server") << ", phase " << phase << ", number " << number
              << (strict ? ", strict" : "");
        }
      }
    }
  }
}

// Brings a machine to where the peer is in `phase`, and takes all that it said until then.
void bring_to(Conversation& c, Phase phase) {
  const auto half_an_exchange = [&] {
    if (c.peer.role() == Role::server) {
      c.expect_message<KexStringInitMessage>();
      c.as_peer([](ScriptedPeer& p) { p.send_reply(test::host_key()); });
    } else {
      c.as_peer([](ScriptedPeer& p) { p.send_value(); });
      c.answer_host_signature();
      c.expect_message<KexStringReplyMessage>();
    }
  };
  const auto kexinits = [&] {
    c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
    c.expect_message<KexInitMessage>();
  };
  const bool server = c.peer.role() == Role::client;
  switch (phase) {
    case Phase::first_kexinit:
      c.as_peer([](ScriptedPeer& p) { p.identify(); });
      c.expect_message<KexInitMessage>();
      break;
    case Phase::first_exchange:
    case Phase::first_newkeys:
      c.as_peer([](ScriptedPeer& p) { p.identify(); });
      kexinits();
      if (phase == Phase::first_exchange) {
        if (!server) c.expect_message<KexStringInitMessage>();
        break;
      }
      half_an_exchange();
      if (!server) {
        c.expect_event<HostKeyOffered>();
        c.command([](Session& s) { s.accept_host_key(); });
      }
      c.expect_message<NewKeysMessage>();
      if (server) c.expect_message<ExtInfoMessage>();
      break;
    case Phase::service:
      c.exchange_first_keys();
      if (server) break;
      c.expect_event<AuthNext>();
      c.expect_message<ServiceRequestMessage>();
      break;
    case Phase::authentication:
      c.start_authentication();
      if (!server) c.expect_event<AuthNext>();
      break;
    case Phase::connected:
      c.connect();
      break;
    case Phase::rekey_exchange:
    case Phase::rekey_newkeys:
      c.connect();
      kexinits();
      if (phase == Phase::rekey_exchange) {
        if (!server) c.expect_message<KexStringInitMessage>();
        break;
      }
      half_an_exchange();
      c.expect_message<NewKeysMessage>();
      break;
  }
}

// In front of the first keys are strict and other peers; then it makes no difference.
bool live_sample(unsigned number) {
  return number <= 102 || (number >= 126 && number <= 129) || number >= 190;
}

void check_live(Role role, Phase phase, bool strict) {
  Conversation::Options options;
  options.offer.strict = strict;
  std::unique_ptr<Conversation> c;
  for (unsigned number = 0; number < 256; ++number) {
    if (!live_sample(number) || (number > 194 && number < 255)) continue;
    SCOPED_TRACE(testing::Message() << (role == Role::client ? "client" : "server") << ", phase "
                                    << static_cast<int>(phase) << ", number " << number);
    if (!c) {
      c = std::make_unique<Conversation>(role, options);
      bring_to(*c, phase);
    }
    const Bytes payload = {static_cast<std::uint8_t>(number)};
    c->send_raw(payload);
    switch (expected(role, phase, number, strict)) {
      case Verdict::unimplemented:
        c->expect_message<UnimplementedMessage>(
            [&](const UnimplementedMessage& m) { EXPECT_EQ(m.sequence, c->peer.last_sent_sequence()); });
        c->expect_silence();
        break;
      case Verdict::forbidden:
        c->expect_end(Errc::protocol, fmt::format("message {} is not allowed", number));
        c->expect_goodbye(DisconnectReason::protocol_error);
        c->expect_silence();
        c.reset();
        break;
      case Verdict::accept:  // and then refused, if an empty body is malformed: but not for coming now
        c->command([](Session&) {});
        if (!c->session.is_closed() && number >= 2 && number <= 4) break;
        c.reset();
        break;
    }
    if (testing::Test::HasFailure()) return;
  }
}

TEST(Phase, LivingMachinesKeepToIt) {
  for (const Role role : kRoles) {
    check_live(role, Phase::first_kexinit, false);  // nobody knows yet who is strict
    for (unsigned phase = 1; phase < kPhases; ++phase) check_live(role, static_cast<Phase>(phase), true);
    check_live(role, Phase::first_exchange, false);
    check_live(role, Phase::connected, false);
  }
}

TEST(Phase, LateAuthenticationRequestsAreIgnored) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    c.as_peer([&](ScriptedPeer& p) { p.send_raw(c.signed_request()); });
    c.expect_silence();
  });
}

}  // namespace
}  // namespace culvert::ssh

// SPDX-License-Identifier: Apache-2.0
// Scripts of logging in, seen from the server (RFC 4252): public keys and nothing else.
#include <gtest/gtest.h>

#include "tests/support/conversation.hpp"

namespace culvert::ssh {
namespace {

using test::Conversation;
using test::run_everywhere;
using test::user_key;

Bytes request(std::string_view method, ByteView fields = {}, std::string_view service = "ssh-connection") {
  return encoded(UserauthRequestMessage{"somebody", service, method, Rest{fields}});
}
Bytes key_request(std::string_view algorithm, ByteView key, ByteView rest = {}, bool is_signed = false) {
  Bytes fields;
  encode_fields(fields, PublicKeyMethod{is_signed, algorithm, key, Rest{rest}});
  return request("publickey", fields);
}
Bytes query(const crypto::PrivateKey& key = user_key()) {
  return key_request("ssh-ed25519", key.public_key().blob());
}
void expect_refusal(Conversation& c) {
  c.expect_message<UserauthFailureMessage>([](const UserauthFailureMessage& m) {
    EXPECT_EQ(m.can_continue.text, "publickey");
    EXPECT_FALSE(m.partial_success);
  });
  c.expect_silence();
}
void expect_offer(Conversation& c, bool is_signed, std::string_view user = "somebody") {
  c.expect_event<UserOffered>([=](UserOffered& e) {
    EXPECT_EQ(e.user, user);
    EXPECT_TRUE(e.key == user_key().public_key());
    EXPECT_EQ(e.signed_, is_signed);
  });
  c.expect_silence();
}
void accept(Conversation& c) {
  c.command([](Session& s) { s.accept_user(); });
}
void refuse(Conversation& c) {
  c.command([](Session& s) { s.refuse_user(); });
}
// The payload's last byte belongs to the signature.
Bytes spoiled(Bytes payload) {
  payload.back() ^= 1;
  return payload;
}

TEST(ServerAuth, KeyThatIsAskedAboutFirst) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.start_authentication();
    c.send_raw(request("none"));
    expect_refusal(c);
    c.send_raw(query());
    expect_offer(c, false);
    accept(c);
    c.expect_message<UserauthPkOkMessage>([](const UserauthPkOkMessage& m) {
      EXPECT_EQ(m.algorithm, "ssh-ed25519");
      EXPECT_TRUE(std::ranges::equal(m.key, user_key().public_key().blob()));
    });
    c.command([](Session& s) { EXPECT_FALSE(s.is_authenticated()); });  // nothing is proved yet
    c.as_peer([&](test::ScriptedPeer& p) { p.send_raw(c.signed_request()); });
    expect_offer(c, true);
    accept(c);
    c.expect_message<UserauthSuccessMessage>();
    c.expect_event<Authenticated>();
    c.expect_silence();
  });
}

TEST(ServerAuth, AQuestionIsNoLogin) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.start_authentication();
    c.send_raw(query());
    expect_offer(c, false);
    accept(c);
    c.expect_message<UserauthPkOkMessage>();
    accept(c);
    c.expect_silence();
    c.send_raw(c.open_request(1));
    c.expect_protocol_error("message 90 is not allowed");
  });
}

TEST(ServerAuth, RefusedByTheUser) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.start_authentication();
    for (const bool is_signed : {false, true}) {
      c.as_peer([&](test::ScriptedPeer& p) { p.send_raw(is_signed ? c.signed_request() : query()); });
      expect_offer(c, is_signed);
      refuse(c);
      expect_refusal(c);
      refuse(c);
      accept(c);
      c.expect_silence();
    }
  });
}

// Requests may come in a row: each is looked at when the one before is answered.
TEST(ServerAuth, RequestsInARow) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.start_authentication();
    c.as_peer([&](test::ScriptedPeer& p) {
      p.send_raw(request("none"));
      p.send_raw(query());
      p.send_raw(c.signed_request());
      p.send_raw(c.open_request(1));
      p.send_raw(c.signed_request());
    });
    c.expect_message<UserauthFailureMessage>();
    expect_offer(c, false);
    accept(c);
    c.expect_message<UserauthPkOkMessage>();
    expect_offer(c, true);
    accept(c);
    c.expect_message<UserauthSuccessMessage>();
    c.expect_event<Authenticated>();
    c.expect_event<ChannelRequested>();
    c.expect_silence();  // what comes behind the login is ignored (RFC 4252 section 5.1)
  });
}

TEST(ServerAuth, AnotherUserWithEachRequest) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.start_authentication();
    for (const std::string_view user : {"somebody", "somebody else", ""}) {
      c.as_peer([&](test::ScriptedPeer& p) { p.send_raw(c.signed_request(user_key(), user)); });
      expect_offer(c, true, user);
      refuse(c);
      expect_refusal(c);
    }
  });
}

// ---- refused without a question

TEST(ServerAuth, OtherMethods) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.start_authentication();
    Bytes password;
    Writer(password).boolean(false).text("secret");
    for (const Bytes& payload :
         {request("none"), request("password", password), request("keyboard-interactive", Bytes(8)),
          request("hostbased"), request("")}) {
      c.send_raw(payload);
      expect_refusal(c);
    }
  });
}

TEST(ServerAuth, SignaturesThatDoNotFit) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.start_authentication();
    const auto refused = [&](const std::function<Bytes()>& payload) {
      c.as_peer([&](test::ScriptedPeer& p) { p.send_raw(payload()); });
      expect_refusal(c);
    };
    refused([&] { return spoiled(c.signed_request()); });
    refused([&] {  // another user's name put in afterwards, of the same length
      Bytes payload = c.signed_request(user_key(), "somebody");
      const std::string_view text = as_text(payload);
      payload[text.find("somebody")] = 'S';
      return payload;
    });
    refused([&] {  // a signature of another key
      Bytes rest;
      Writer(rest).string(test::stranger_key().sign("ssh-ed25519", as_bytes("x")).value());
      return key_request("ssh-ed25519", user_key().public_key().blob(), rest, true);
    });
    refused([&] {
      Bytes rest;
      Writer(rest).text("");
      return key_request("ssh-ed25519", user_key().public_key().blob(), rest, true);
    });
    c.as_peer([&](test::ScriptedPeer& p) { p.send_raw(c.signed_request()); });  // and the right one
    expect_offer(c, true);
  });
}

// What is signed names this session: a signature seen elsewhere is worth nothing.
TEST(ServerAuth, SignatureOfAnotherSession) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.start_authentication();
    Bytes payload = key_request("ssh-ed25519", user_key().public_key().blob(), {}, true);
    Bytes message;
    Writer(message).string(Bytes(32, 'x')).bytes(payload);
    Writer(payload).string(user_key().sign("ssh-ed25519", message).value());
    c.send_raw(payload);
    expect_refusal(c);
  });
}

TEST(ServerAuth, KeysThatCannotBeUsed) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.start_authentication();
    const Bytes key = copy_of(user_key().public_key().blob());
    for (const Bytes& payload :
         {key_request("ssh-ed25519", Bytes(40, 1)), key_request("ssh-ed25519", {}),
          key_request("rsa-sha2-256", key), key_request("ssh-dss", key), key_request("", key)}) {
      c.send_raw(payload);
      expect_refusal(c);
    }
  });
}

// ---- the end

void fails(const std::function<Bytes(Conversation&)>& payload, Errc code, DisconnectReason reason) {
  run_everywhere(Role::server, [&](Conversation& c) {
    c.start_authentication();
    c.as_peer([&](test::ScriptedPeer& p) { p.send_raw(payload(c)); });
    c.expect_end(code);
    c.expect_goodbye(reason);
  });
}

TEST(ServerAuth, WhatEndsTheSession) {
  fails([](Conversation&) { return request("none", {}, "ssh-userauth"); }, Errc::protocol,
        DisconnectReason::service_not_available);
  fails([](Conversation&) { return encoded(UserauthInfoResponseMessage{0, Rest{}}); }, Errc::protocol,
        DisconnectReason::protocol_error);
  fails([](Conversation&) { return request("publickey"); }, Errc::malformed,
        DisconnectReason::protocol_error);
  fails([](Conversation&) { return key_request("ssh-ed25519", user_key().public_key().blob(), Bytes(1)); },
        Errc::malformed, DisconnectReason::protocol_error);
  fails(
      [](Conversation& c) {
        Bytes payload = c.signed_request();
        payload.push_back(0);
        return payload;
      },
      Errc::malformed, DisconnectReason::protocol_error);
  fails([](Conversation&) { return key_request("ssh-ed25519", user_key().public_key().blob(), {}, true); },
        Errc::malformed, DisconnectReason::protocol_error);
}

TEST(ServerAuth, UnknownService) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.exchange_first_keys();
    c.send(ServiceRequestMessage{"ssh-connection"});
    c.expect_end(Errc::protocol, "unknown service");
    c.expect_goodbye(DisconnectReason::service_not_available);
  });
}

TEST(ServerAuth, OnlySoManyAttempts) {
  Conversation::Options options;
  options.machine.limits.auth_attempts = 3;
  run_everywhere(
      Role::server,
      [](Conversation& c) {
        c.start_authentication();
        c.send_raw(request("none"));  // a first question is no attempt
        expect_refusal(c);
        c.send_raw(request("none"));
        expect_refusal(c);
        c.as_peer([&](test::ScriptedPeer& p) { p.send_raw(spoiled(c.signed_request())); });
        expect_refusal(c);
        c.send_raw(query());
        expect_offer(c, false);
        refuse(c);
        expect_refusal(c);
        c.as_peer([&](test::ScriptedPeer& p) { p.send_raw(c.signed_request()); });  // too late
        c.expect_end(Errc::limit, "too many authentication attempts");
        c.expect_goodbye(DisconnectReason::no_more_auth_methods_available);
      },
      options);
}

}  // namespace
}  // namespace culvert::ssh

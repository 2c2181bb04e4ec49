// SPDX-License-Identifier: Apache-2.0
// Scripts of logging in, seen from the client (RFC 4252).
#include <gtest/gtest.h>

#include "tests/support/login_steps.hpp"

namespace culvert::ssh {
namespace {

using namespace test::login;  // NOLINT(google-build-using-namespace)
using test::Conversation;
using test::run_everywhere;
using test::user_key;

// ---- none

TEST(ClientAuth, NoneAsksForTheMethods) {
  run_everywhere(Role::client, [](Conversation& c) {
    start(c);
    try_none(c);
    refuse(c, "publickey,password,something@else");
    expect_next(c, {"publickey", "password", "something@else"});
    try_none(c);
    refuse(c, "");
    expect_next(c, {});
    try_none(c);
    succeed(c);  // or it lets us in
  });
}

TEST(ClientAuth, OneRequestAtATime) {
  run_everywhere(Role::client, [](Conversation& c) {
    start(c);
    try_none(c);
    c.command([](Session& s) {
      s.try_none();
      s.try_password(SecretBytes(std::string_view("secret")));
      s.try_keyboard_interactive();
      s.try_public_key(user_key().public_key(), "ssh-ed25519", true);
      s.try_public_key(user_key().public_key(), "ssh-ed25519", false);
      s.user_signature(Bytes(10));
      s.skip_signature();
      s.answer_prompts({});
    });
    c.expect_silence();
    refuse(c, "password");
    expect_next(c, {"password"});
  });
}

TEST(ClientAuth, ServersAlgorithmsAreHandedThrough) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.exchange_first_keys();
    c.expect_event<AuthNext>([](AuthNext& e) { EXPECT_TRUE(e.server_signature_algorithms.empty()); });
    c.expect_message<ServiceRequestMessage>();
    Bytes extensions;
    Writer(extensions).text("server-sig-algs").text("ssh-ed25519,rsa-sha2-256");
    c.send(ExtInfoMessage{1, Rest{extensions}});
    c.send(ServiceAcceptMessage{"ssh-userauth"});
    const auto handed_through = [&] {
      c.expect_event<AuthNext>([](AuthNext& e) {
        EXPECT_EQ(e.server_signature_algorithms, (Names{"ssh-ed25519", "rsa-sha2-256"}));
      });
    };
    ask_key(c);
    refuse(c, "publickey");
    handed_through();
    ask_key(c);
    accept_key(c);
    c.expect_event<UserSignatureWanted>();
    c.command([](Session& s) { s.skip_signature(); });
    handed_through();
  });
}

TEST(ClientAuth, ServiceThatWasNotAskedFor) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.exchange_first_keys();
    c.expect_event<AuthNext>();
    c.expect_message<ServiceRequestMessage>();
    c.send(ServiceAcceptMessage{"ssh-connection"});
    fails(c, Errc::protocol, "service not asked for");
  });
}

// ---- public keys

TEST(ClientAuth, KeyThatIsAskedAboutFirst) {
  run_everywhere(Role::client, [](Conversation& c) {
    start(c);
    ask_key(c);
    c.expect_silence();
    accept_key(c);
    sign(c);
    succeed(c);
  });
}

TEST(ClientAuth, KeyThatIsSignedAtOnce) {
  run_everywhere(Role::client, [](Conversation& c) {
    start(c);
    c.command([](Session& s) { s.try_public_key(user_key().public_key(), "ssh-ed25519", false); });
    sign(c);
    succeed(c);
  });
}

TEST(ClientAuth, KeyThatIsRefused) {
  run_everywhere(Role::client, [](Conversation& c) {
    start(c);
    ask_key(c);
    refuse(c, "publickey");
    expect_next(c, {"publickey"});
    ask_key(c);
    accept_key(c);
    sign(c);
    refuse(c, "password");  // the signature, in spite of what it said
    expect_next(c, {"password"});
  });
}

TEST(ClientAuth, SignatureThatIsSkipped) {
  run_everywhere(Role::client, [](Conversation& c) {
    start(c);
    try_none(c);
    refuse(c, "publickey,password");
    expect_next(c, {"publickey", "password"});
    ask_key(c);
    accept_key(c);
    c.expect_event<UserSignatureWanted>();
    c.command([](Session& s) {
      s.skip_signature();
      s.skip_signature();
      s.user_signature(Bytes(10));
    });
    expect_next(c, {"publickey", "password"});  // what the server said last still holds
    c.expect_silence();
    try_password(c);
    succeed(c);
  });
}

// Nobody may be made to sign for a key that was not offered.
TEST(ClientAuth, AnotherKeyThanTheOneOffered) {
  const auto refused = [](std::string_view algorithm, ByteView key) {
    run_everywhere(Role::client, [=](Conversation& c) {
      start(c);
      ask_key(c);
      c.send(UserauthPkOkMessage{algorithm, key});
      fails(c, Errc::protocol, "another key than the one offered");
    });
  };
  refused("ssh-ed25519", test::stranger_key().public_key().blob());
  refused("ssh-rsa", user_key().public_key().blob());
  refused("ssh-ed25519", {});
}

// ---- passwords

TEST(ClientAuth, Passwords) {
  run_everywhere(Role::client, [](Conversation& c) {
    start(c);
    try_password(c, "wrong");
    refuse(c, "password");
    expect_next(c, {"password"});
    try_password(c, "");
    refuse(c, "password");
    expect_next(c, {"password"});
    try_password(c, "right");
    succeed(c);
  });
}

TEST(ClientAuth, PasswordThatIsToBeChanged) {
  run_everywhere(Role::client, [](Conversation& c) {
    start(c);
    try_none(c);
    refuse(c, "password,publickey", true);
    expect_next(c, {"password", "publickey"}, true);
    try_password(c, "old");
    c.send(UserauthPasswordChangeMessage{"Change it now!", "en"});
    c.expect_event<AuthNext>([](AuthNext& e) {
      EXPECT_EQ(e.methods, (std::vector<std::string>{"password", "publickey"}));
      EXPECT_FALSE(e.partial_success);
      EXPECT_EQ(e.password_change, "Change it now!");
    });
    try_password(c, "another");
    refuse(c, "password,publickey");
    c.expect_event<AuthNext>([](AuthNext& e) { EXPECT_FALSE(e.password_change); });
    try_password(c, "a third");
    succeed(c);
  });
}

// ---- partial success

TEST(ClientAuth, PartialSuccess) {
  run_everywhere(Role::client, [](Conversation& c) {
    start(c);
    ask_key(c);
    accept_key(c);
    sign(c);
    refuse(c, "password", true);
    expect_next(c, {"password"}, true);
    try_password(c, "wrong");
    refuse(c, "password", false);
    expect_next(c, {"password"}, false);
    try_password(c, "right");
    succeed(c);
  });
}

// ---- banners

TEST(ClientAuth, BannersComeAtAnyTime) {
  run_everywhere(Role::client, [](Conversation& c) {
    const auto banner = [&](const std::string& text) {
      c.send(UserauthBannerMessage{text, "en"});
      c.expect_event<BannerShown>([&](BannerShown& e) { EXPECT_EQ(e.text, text); });
    };
    start(c);
    banner("Welcome\r\n\x1b[2J");  // as it came: what shows it makes it printable
    ask_key(c);
    banner("");
    accept_key(c);
    c.expect_event<UserSignatureWanted>();
    banner("while the agent is asked");
    c.command([](Session& s) { s.user_signature(Bytes(10)); });
    expect_request(c, "publickey");
    refuse(c, "keyboard-interactive");
    expect_next(c, {"keyboard-interactive"});
    try_interactive(c);
    show(c, 1, {"Password: "});
    expect_prompts(c, 1);
    banner("while somebody types");
    respond(c, {"secret"});
    succeed(c);
    c.send(UserauthBannerMessage{"after login", ""});
    c.expect_end(Errc::protocol);
    c.expect_goodbye(DisconnectReason::protocol_error);
  });
}

TEST(ClientAuth, TooManyBanners) {
  test::run(Role::client, [](Conversation& c) {
    start(c);
    for (int i = 0; i < 32; ++i) {
      c.send(UserauthBannerMessage{"x", ""});
      c.expect_event<BannerShown>();
    }
    c.send(UserauthBannerMessage{"x", ""});
    fails(c, Errc::limit, "too many banners");
  });
}

// ---- out of order

TEST(ClientAuth, MessagesOutOfNowhere) {
  const Bytes success = encoded(UserauthSuccessMessage{});
  const Bytes failure = encoded(UserauthFailureMessage{NameList{"password"}, false});
  const Bytes pk_ok = encoded(UserauthPkOkMessage{"ssh-ed25519", user_key().public_key().blob()});
  const Bytes info = encoded(UserauthInfoRequestMessage{"", "", "", 0, Rest{}});
  const auto refused = [](const std::function<void(Conversation&)>& before, const Bytes& payload) {
    run_everywhere(Role::client, [&](Conversation& c) {
      start(c);
      before(c);
      c.send_raw(payload);
      unexpected(c);
    });
  };
  for (const Bytes& payload : {success, failure, pk_ok, info}) refused([](Conversation&) {}, payload);
  for (const Bytes& payload : {pk_ok, info}) refused(try_none, payload);
  refused(ask_key, success);  // nothing was proved yet
  const auto signing = [](Conversation& c) {
    ask_key(c);
    accept_key(c);
    c.expect_event<UserSignatureWanted>();
  };
  for (const Bytes& payload : {success, failure, pk_ok, info}) refused(signing, payload);
  const auto is_signed = [](Conversation& c) {
    ask_key(c);
    accept_key(c);
    sign(c);
  };
  refused(is_signed, pk_ok);
  const auto asked = [](Conversation& c) {
    try_interactive(c);
    show(c, 1, {"Password: "});
    expect_prompts(c, 1);
  };
  refused(asked, info);  // a question about a question
}

TEST(ClientAuth, MalformedMessages) {
  const auto malformed = [](void (*before)(Conversation&), const Bytes& payload) {
    test::run(Role::client, [&](Conversation& c) {
      start(c);
      before(c);
      c.send_raw(payload);
      fails(c, Errc::malformed, "");
    });
  };
  malformed(try_none, {52, 0});
  malformed(try_none, {51, 0, 0, 0, 9, 'x'});
  malformed(ask_key, {60});
  malformed([](Conversation& c) { try_password(c); }, {60, 0});
}

// ---- limits

TEST(ClientAuth, OnlySoManyAttempts) {
  Conversation::Options options;
  options.machine.limits.auth_attempts = 3;
  run_everywhere(
      Role::client,
      [](Conversation& c) {
        start(c);
        try_none(c);  // a question, no attempt
        refuse(c, "publickey,password,keyboard-interactive");
        c.expect_event<AuthNext>();
        for (int i = 0; i < 3; ++i) {  // nor what the user skips
          c.command([](Session& s) { s.try_public_key(user_key().public_key(), "ssh-ed25519", false); });
          c.expect_event<UserSignatureWanted>();
          c.command([](Session& s) { s.skip_signature(); });
          c.expect_event<AuthNext>();
        }
        ask_key(c);
        refuse(c, "password");
        c.expect_event<AuthNext>();
        try_password(c);
        refuse(c, "keyboard-interactive");
        c.expect_event<AuthNext>();
        try_interactive(c);
        refuse(c, "keyboard-interactive");
        fails(c, Errc::limit, "too many authentication attempts");
      },
      options);
}

}  // namespace
}  // namespace culvert::ssh

// SPDX-License-Identifier: Apache-2.0
// Scripts of the forms that a key may have when it logs in: plain, in a certificate, bound to our host key;
// and of the banner, which comes in front of the first answer.
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/support/conversation.hpp"
#include "tests/support/test_certificate.hpp"

namespace culvert::ssh {
namespace {

using test::Conversation;
using test::run_everywhere;
using test::user_key;
using enum crypto::Certificate::Kind;

constexpr std::string_view kCertificate = "ssh-ed25519-cert-v01@openssh.com";
constexpr std::string_view kHostBound = "publickey-hostbound-v00@openssh.com";

// A request to log in, put together as the test wants it.
struct Login {
  std::string_view method = "publickey";
  std::string_view algorithm = "ssh-ed25519";
  Bytes blob = copy_of(user_key().public_key().blob());
  Bytes host_key = {};  // that it names; with kHostBound only
  const crypto::PrivateKey* signer = &user_key();
  std::string_view signature_algorithm = "ssh-ed25519";
  bool is_signed = true;

  [[nodiscard]] Bytes payload(ByteView session_id) const {
    Bytes rest, fields;
    if (method == kHostBound) Writer(rest).string(host_key);
    encode_fields(fields, PublicKeyMethod{is_signed, algorithm, blob, Rest{rest}});
    Bytes payload = encoded(UserauthRequestMessage{"somebody", "ssh-connection", method, Rest{fields}});
    if (!is_signed) return payload;
    Bytes message;
    Writer(message).string(session_id).bytes(payload);
    Writer(payload).string(signer->sign(signature_algorithm, message).value());
    return payload;
  }
};

void ask(Conversation& c, const Login& login) {
  c.as_peer([&](test::ScriptedPeer& p) { p.send_raw(login.payload(p.session_id())); });
}
void expect_refusal(Conversation& c) {
  c.expect_message<UserauthFailureMessage>(
      [](const UserauthFailureMessage& m) { EXPECT_EQ(m.can_continue.text, "publickey"); });
  c.expect_silence();
}
void accept(Conversation& c) {
  c.command([](Session& s) { s.accept_user(); });
}
Bytes host_blob() { return copy_of(test::host_key().public_key().blob()); }
Bytes user_certificate(crypto::Certificate::Kind kind = user) {
  return test::certificate_blob(user_key().public_key(), kind, test::authority_key());
}

TEST(ServerAuthKeys, ACertificate) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.start_authentication();
    for (const bool is_signed : {false, true}) {
      ask(c, {.algorithm = kCertificate, .blob = user_certificate(), .is_signed = is_signed});
      c.expect_event<UserOffered>([=](UserOffered& e) {
        EXPECT_EQ(e.algorithm, kCertificate);
        EXPECT_TRUE(e.key == user_key().public_key());
        EXPECT_EQ(e.signed_, is_signed);
        EXPECT_FALSE(e.host_bound);
        ASSERT_TRUE(e.certificate);
        EXPECT_TRUE(e.certificate->authority() == test::authority_key().public_key());
      });
      c.expect_silence();
      accept(c);
      if (is_signed) break;
      c.expect_message<UserauthPkOkMessage>([](const UserauthPkOkMessage& m) {
        EXPECT_EQ(m.algorithm, kCertificate);
        EXPECT_TRUE(std::ranges::equal(m.key, user_certificate()));  // ed25519 signs the same twice alike
      });
    }
    c.expect_message<UserauthSuccessMessage>();
    c.expect_event<Authenticated>();
  });
}

TEST(ServerAuthKeys, CertificatesThatAreNoGood) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.start_authentication();
    const Bytes good = user_certificate();
    Bytes unsigned_by_it = good;
    unsigned_by_it.back() ^= 1;
    std::uint32_t refused = 0;
    for (const Login& login : {
             Login{.algorithm = kCertificate, .blob = user_certificate(host)},
             Login{.algorithm = kCertificate, .blob = unsigned_by_it},
             Login{.algorithm = kCertificate, .blob = host_blob()},
             Login{.algorithm = kCertificate, .blob = good, .signer = &test::stranger_key()},
             Login{.algorithm = kCertificate, .blob = good, .signer = &test::authority_key()},
             Login{.algorithm = "ssh-ed25519", .blob = good},
             Login{.algorithm = "rsa-sha2-512-cert-v01@openssh.com", .blob = good},
             Login{.algorithm = "ssh-rsa-cert-v01@openssh.com", .blob = good},
             Login{.algorithm = "sk-ssh-ed25519-cert-v01@openssh.com", .blob = good},
             Login{.algorithm = "sk-ssh-ed25519@openssh.com"},
         }) {
      ask(c, login);
      expect_refusal(c);
      ++refused;
      c.command([=](Session& s) { EXPECT_EQ(s.refused_attempts(), refused); });
    }
  });
}

TEST(ServerAuthKeys, BoundToOurHostKey) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.start_authentication();
    for (const bool is_signed : {false, true}) {
      ask(c, {.method = kHostBound, .host_key = host_blob(), .is_signed = is_signed});
      c.expect_event<UserOffered>([=](UserOffered& e) {
        EXPECT_TRUE(e.host_bound);
        EXPECT_FALSE(e.certificate);
        EXPECT_EQ(e.signed_, is_signed);
      });
      accept(c);
      if (!is_signed) c.expect_message<UserauthPkOkMessage>();
    }
    c.expect_message<UserauthSuccessMessage>();
    c.expect_event<Authenticated>();
  });
}

TEST(ServerAuthKeys, BoundToAnotherHostKey) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.start_authentication();
    for (const Bytes& other : {copy_of(test::stranger_key().public_key().blob()), Bytes()}) {
      for (const bool is_signed : {false, true}) {
        ask(c, {.method = kHostBound, .host_key = other, .is_signed = is_signed});
        expect_refusal(c);
      }
    }
    // Signed for another one, and ours put in afterwards.
    c.as_peer([](test::ScriptedPeer& p) {
      const Bytes ours = host_blob(), theirs = copy_of(test::stranger_key().public_key().blob());
      Bytes payload = Login{.method = kHostBound, .host_key = theirs}.payload(p.session_id());
      const auto place = std::ranges::search(payload, theirs).begin();
      std::ranges::copy(ours, place);
      p.send_raw(payload);
    });
    expect_refusal(c);
    ask(c, {.method = kHostBound, .host_key = host_blob()});
    c.expect_event<UserOffered>();
  });
}

// The host key of the first exchange counts, in the form in which it was shown.
TEST(ServerAuthKeys, BoundToOurCertificate) {
  Conversation::Options options;
  options.offer.host_key = kCertificate;
  options.machine.host_certificates = {test::certificate_for(test::host_key().public_key(), host)};
  const Bytes shown = copy_of(options.machine.host_certificates[0].blob());
  run_everywhere(
      Role::server,
      [&](Conversation& c) {
        c.start_authentication();
        ask(c, {.method = kHostBound, .host_key = host_blob()});
        expect_refusal(c);
        ask(c, {.method = kHostBound, .host_key = shown});
        c.expect_event<UserOffered>([](UserOffered& e) { EXPECT_TRUE(e.host_bound); });
      },
      options);
}

TEST(ServerAuthKeys, NoneIsAQuestion) {
  test::run(Role::server, [](Conversation& c) {
    c.start_authentication();
    c.send(UserauthRequestMessage{"somebody", "ssh-connection", "none", Rest{}});
    expect_refusal(c);
    c.command([](Session& s) { EXPECT_EQ(s.refused_attempts(), 0u); });
    c.send(UserauthRequestMessage{"somebody", "ssh-connection", "password", Rest{}});
    expect_refusal(c);
    c.command([](Session& s) { EXPECT_EQ(s.refused_attempts(), 1u); });
  });
}

// ---- the banner

void shows_banner(const std::function<void(Conversation&)>& attempt, std::string_view text,
                  std::string_view shown) {
  Conversation::Options options;
  options.machine.banner = text;
  run_everywhere(
      Role::server,
      [&](Conversation& c) {
        c.start_authentication();
        attempt(c);
        c.expect_message<UserauthBannerMessage>([&](const UserauthBannerMessage& m) {
          EXPECT_EQ(m.text, shown);
          EXPECT_EQ(m.language, "");
        });
        c.expect_payload([](ByteView payload) { EXPECT_TRUE(payload[0] == 51 || payload[0] == 52); });
        if (c.session.is_authenticated()) return c.expect_event<Authenticated>();
        ask(c, {.method = "none"});
        expect_refusal(c);
      },
      options);
}

TEST(ServerAuthKeys, BannerComesOnce) {
  shows_banner([](Conversation& c) { ask(c, {.method = "none"}); }, "a\nb\r\n\n", "a\r\nb\r\n\r\n");
  shows_banner(
      [](Conversation& c) {
        ask(c, {});
        c.expect_event<UserOffered>();
        accept(c);
      },
      "text", "text");
  shows_banner(
      [](Conversation& c) {
        ask(c, {});
        c.expect_event<UserOffered>();
        c.command([](Session& s) { s.refuse_user(); });
      },
      std::string(50'000, 'x'), std::string(32 * 1024 - 1, 'x'));
}

}  // namespace
}  // namespace culvert::ssh

// SPDX-License-Identifier: Apache-2.0
// What a login by key can carry besides the key: a certificate of it, and the server's own key.
#include <gtest/gtest.h>

#include "base/wire.hpp"
#include "crypto/certificate.hpp"
#include "proto/ssh/wire/messages.hpp"
#include "tests/support/login_steps.hpp"

namespace culvert::ssh {
namespace {

using namespace test;
using namespace test::login;

constexpr std::string_view kCertificateType = "ssh-ed25519-cert-v01@openssh.com";

const crypto::Certificate& certificate() {
  static const crypto::Certificate made = [] {
    Reader fields(user_key().public_key().blob());
    (void)fields.string();
    Bytes names, blob;
    Writer(names).text("somebody");
    Writer writer(blob);
    writer.text(kCertificateType).text("nonce").bytes(fields.rest()).u64(0).u32(1).text("id");
    writer.string(names).u64(0).u64(~std::uint64_t{0}).text("").text("").text("");
    writer.string(stranger_key().public_key().blob());
    const Bytes signature = stranger_key().sign("ssh-ed25519", blob).value();
    writer.string(signature);
    return crypto::Certificate::parse(blob).value();
  }();
  return made;
}

void start_with(Conversation& c, std::string_view host_bound_version) {
  c.exchange_first_keys();
  c.expect_message<ServiceRequestMessage>();
  Bytes extensions;
  Writer(extensions).text("publickey-hostbound@openssh.com").text(host_bound_version);
  c.send(ExtInfoMessage{1, Rest{extensions}});
  c.send(ServiceAcceptMessage{"ssh-userauth"});
  c.expect_event<AuthNext>();
}

// The signed request, and that it is what was signed behind the session id.
void sign_and_expect(Conversation& c, std::string_view method,
                     const std::function<void(PublicKeyMethod)>& check) {
  Bytes message;
  c.expect_event<UserSignatureWanted>([&](UserSignatureWanted& e) {
    EXPECT_TRUE(e.key == user_key().public_key());
    message = e.message;
  });
  const Bytes signature = user_key().sign("ssh-ed25519", message).value();
  c.command([&](Session& s) { s.user_signature(signature); });
  c.expect_payload([&](ByteView payload) {
    Reader reader(message);
    (void)reader.string();
    const ByteView covered = reader.rest();
    ASSERT_GE(payload.size(), covered.size());
    EXPECT_TRUE(std::ranges::equal(payload.first(covered.size()), covered));
    Bytes end;
    Writer(end).string(signature);
    EXPECT_TRUE(std::ranges::equal(payload.subspan(covered.size()), end));

    const auto request = decode<UserauthRequestMessage>(payload);
    ASSERT_TRUE(request);
    EXPECT_EQ(request->method, method);
    const auto fields = decode_fields<PublicKeyMethod>(request->method_fields.bytes);
    ASSERT_TRUE(fields);
    EXPECT_TRUE(fields->is_signed);
    check(*fields);
  });
}

TEST(ClientAuth, CertificateOfAKey) {
  run_everywhere(Role::client, [](Conversation& c) {
    start(c);
    c.command([](Session& s) { s.try_certificate(certificate(), std::string(kCertificateType), true); });
    expect_request(c, "publickey", [](ByteView fields) {
      const auto method = decode_fields<PublicKeyMethod>(fields);
      ASSERT_TRUE(method);
      EXPECT_EQ(method->algorithm, kCertificateType);
      EXPECT_TRUE(std::ranges::equal(method->key, certificate().blob()));
    });
    c.send(UserauthPkOkMessage{kCertificateType, certificate().blob()});
    sign_and_expect(c, "publickey", [](const PublicKeyMethod& method) {
      EXPECT_EQ(method.algorithm, kCertificateType);
      EXPECT_TRUE(std::ranges::equal(method.key, certificate().blob()));
    });
    succeed(c);
  });
}

TEST(ClientAuth, TheKeyInsteadOfItsCertificateIsNotSignedFor) {
  run_everywhere(Role::client, [](Conversation& c) {
    start(c);
    c.command([](Session& s) { s.try_certificate(certificate(), std::string(kCertificateType), true); });
    expect_request(c, "publickey");
    c.send(UserauthPkOkMessage{kCertificateType, user_key().public_key().blob()});
    fails(c, Errc::protocol, "another key");
  });
}

TEST(ClientAuth, BoundToTheHostWhereTheServerTakesThat) {
  run_everywhere(Role::client, [](Conversation& c) {
    start_with(c, "0");
    ask_key(c);  // the question is the ordinary one
    accept_key(c);
    sign_and_expect(c, "publickey-hostbound-v00@openssh.com", [](const PublicKeyMethod& method) {
      Reader rest(method.rest.bytes);
      EXPECT_TRUE(std::ranges::equal(rest.string().value(), host_key().public_key().blob()));
    });
    succeed(c);
  });
}

TEST(ClientAuth, AnotherVersionOfThatIsNotUnderstood) {
  run_everywhere(Role::client, [](Conversation& c) {
    start_with(c, "1");
    ask_key(c);
    accept_key(c);
    sign_and_expect(c, "publickey", [](const PublicKeyMethod&) {});
    succeed(c);
  });
}

}  // namespace
}  // namespace culvert::ssh

// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/auth/agent_protocol.hpp"

#include <gtest/gtest.h>

#include "base/wire.hpp"
#include "crypto/certificate_fixtures_test.hpp"
#include "crypto/private_key.hpp"

namespace culvert::ssh {
namespace {

const crypto::PrivateKey& test_key() {
  static const crypto::PrivateKey key = crypto::PrivateKey::generate_ed25519();
  return key;
}

crypto::PublicKey rsa_key() {
  Bytes blob;
  Writer(blob).text("ssh-rsa").mpint(Bytes{1, 0, 1}).mpint(Bytes(256, 0xff));
  return *crypto::PublicKey::parse(blob);
}

Bytes framed(ByteView content) {
  Bytes message;
  Writer(message).string(content);
  return message;
}

Bytes identities_answer(std::uint32_t count, auto add_keys) {
  Bytes content;
  Writer writer(content);
  writer.byte(12).u32(count);
  add_keys(writer);
  return framed(content);
}

Bytes two_identities() {
  return identities_answer(2, [](Writer& writer) {
    writer.string(test_key().public_key().blob()).text("first").string(rsa_key().blob()).text("");
  });
}

Bytes sign_response(std::string_view algorithm) {
  Bytes signature;
  Writer(signature).text(algorithm).string(Bytes(64, 7));
  Bytes content;
  Writer(content).byte(14).string(signature);
  return framed(content);
}

TEST(AgentProtocol, AsksForIdentities) {
  EXPECT_EQ(encode_agent_identities_request(), (Bytes{0, 0, 0, 1, 11}));
}

TEST(AgentProtocol, AsksForSignatures) {
  const std::tuple<crypto::PublicKey, std::string_view, std::uint32_t> kTable[] = {
      {test_key().public_key(), "ssh-ed25519", 0u},
      {rsa_key(), "rsa-sha2-256", 2u},
      {rsa_key(), "rsa-sha2-512", 4u}};
  for (const auto& [key, algorithm, flags] : kTable) {
    Bytes content;
    Writer(content).byte(13).string(key.blob()).text("data").u32(flags);
    EXPECT_EQ(*encode_agent_sign_request({key, {}, {}}, algorithm, as_bytes("data")), framed(content))
        << algorithm;
  }
  for (const std::string_view algorithm : {"ssh-rsa", "ssh-ed25519", ""}) {
    EXPECT_EQ(encode_agent_sign_request({rsa_key(), {}, {}}, algorithm, {}).error().code, Errc::unsupported);
  }
  EXPECT_EQ(
      encode_agent_sign_request({rsa_key(), {}, {}}, "rsa-sha2-512", Bytes(kMaxAgentMessage)).error().code,
      Errc::limit);
}

TEST(AgentProtocol, BindsToASession) {
  Bytes content;
  Writer(content).byte(27).text("session-bind@openssh.com").text("key").text("id").text("signature").byte(0);
  const SessionBinding binding{copy_of(as_bytes("id")), copy_of(as_bytes("key")),
                               copy_of(as_bytes("signature"))};
  EXPECT_EQ(encode_agent_session_bind(binding), framed(content));
}

TEST(AgentProtocol, GivesAKeyAway) {
  const auto added = [](const AgentConstraints& constraints) {
    return copy_of(encode_agent_add_request(test_key(), "comment", constraints));
  };
  const auto expected = [](std::uint8_t type, ByteView constraints) {
    Bytes content;
    const SecretBytes fields = crypto::encode_private_key(test_key());
    Writer(content).byte(type).bytes(fields).text("comment").bytes(constraints);
    return framed(content);
  };
  EXPECT_EQ(added({}), expected(17, {}));
  EXPECT_EQ(added({.lifetime = {}, .confirm = true}), expected(25, Bytes{2}));
  EXPECT_EQ(added({std::chrono::hours(1), false}), expected(25, Bytes{1, 0, 0, 0x0e, 0x10}));
  EXPECT_EQ(added({std::chrono::seconds(1), true}), expected(25, Bytes{1, 0, 0, 0, 1, 2}));
  EXPECT_TRUE(decode_agent_success(framed(Bytes{6})));
  EXPECT_EQ(decode_agent_success(framed(Bytes{5})).error().code, Errc::denied);
  EXPECT_EQ(decode_agent_success(framed(Bytes{12})).error().code, Errc::protocol);
  EXPECT_EQ(decode_agent_success(framed(Bytes{6, 0})).error().code, Errc::malformed);
}

TEST(AgentProtocol, HoldsCertificates) {
  const auto certificate = crypto::parse_certificate_line(crypto::kUserRsa).value();
  const auto answer = identities_answer(2, [&](Writer& writer) {
    writer.string(certificate.blob()).text("with").string(certificate.key().blob()).text("without");
  });
  const auto identities = decode_agent_identities(answer);
  ASSERT_TRUE(identities);
  ASSERT_EQ(identities->usable.size(), 2u);
  EXPECT_TRUE(identities->usable[0].certificate == certificate);
  EXPECT_TRUE(identities->usable[0].key == certificate.key());
  EXPECT_FALSE(identities->usable[1].certificate);
  Bytes content;
  Writer(content).byte(13).string(certificate.blob()).text("data").u32(4);
  EXPECT_EQ(encode_agent_sign_request(identities->usable[0], "rsa-sha2-512", as_bytes("data")),
            framed(content));
}

TEST(AgentProtocol, TellsHowMuchIsMissing) {
  const Bytes answer = two_identities();
  for (std::size_t size = 0; size <= answer.size(); ++size) {
    const auto missing = agent_message_missing(ByteView(answer).first(size));
    ASSERT_TRUE(missing);
    EXPECT_EQ(*missing, size < 4 ? 4 - size : answer.size() - size);
  }
  EXPECT_EQ(agent_message_missing(Bytes{0, 0, 0, 0}).error().code, Errc::malformed);
  EXPECT_EQ(*agent_message_missing(Bytes{0, 4, 0, 0}), 256u << 10);
  EXPECT_EQ(agent_message_missing(Bytes{0, 4, 0, 1}).error().code, Errc::limit);
  EXPECT_EQ(agent_message_missing(Bytes{0xff, 0xff, 0xff, 0xff}).error().code, Errc::limit);
}

TEST(AgentProtocol, ReadsIdentities) {
  const auto identities = decode_agent_identities(two_identities());
  ASSERT_TRUE(identities);
  ASSERT_EQ(identities->usable.size(), 2u);
  EXPECT_TRUE(identities->usable[0].key == test_key().public_key());
  EXPECT_EQ(identities->usable[0].comment, "first");
  EXPECT_TRUE(identities->usable[1].key == rsa_key());
  EXPECT_EQ(identities->skipped, 0u);
  EXPECT_TRUE(decode_agent_identities(identities_answer(0, [](Writer&) {}))->usable.empty());
}

TEST(AgentProtocol, SkipsKeysThatItCannotUse) {
  const auto identities = decode_agent_identities(identities_answer(4, [](Writer& writer) {
    Bytes certificate;
    Writer(certificate).text("ssh-ed25519-cert-v01@openssh.com").string(Bytes(32));
    writer.string(certificate).text("certificate").string({}).text("empty");
    writer.string(Bytes(7, 0xff)).text("garbage").string(rsa_key().blob()).text("good");
  }));
  ASSERT_TRUE(identities);
  EXPECT_EQ(identities->skipped, 3u);
  ASSERT_EQ(identities->usable.size(), 1u);
  EXPECT_EQ(identities->usable[0].comment, "good");
}

TEST(AgentProtocol, BoundsTheNumberOfIdentities) {
  const auto empty_keys = [](std::uint32_t count) {
    return identities_answer(count, [count](Writer& writer) {
      for (std::uint32_t i = 0; i < count; ++i) writer.string({}).text("");
    });
  };
  EXPECT_EQ(decode_agent_identities(empty_keys(kMaxAgentIdentities))->skipped, kMaxAgentIdentities);
  EXPECT_EQ(decode_agent_identities(empty_keys(kMaxAgentIdentities + 1)).error().code, Errc::limit);
  EXPECT_EQ(decode_agent_identities(identities_answer(0xffffffff, [](Writer&) {})).error().code, Errc::limit);
}

TEST(AgentProtocol, ReadsSignatures) {
  const auto signature = decode_agent_signature(sign_response("rsa-sha2-512"), "rsa-sha2-512");
  ASSERT_TRUE(signature);
  Bytes expected;
  Writer(expected).text("rsa-sha2-512").string(Bytes(64, 7));
  EXPECT_EQ(*signature, expected);
  EXPECT_EQ(decode_agent_signature(sign_response("ssh-rsa"), "rsa-sha2-512").error().code, Errc::unsupported);
}

TEST(AgentProtocol, PassesOnARefusal) {
  for (const std::uint8_t type : {std::uint8_t{5}, std::uint8_t{28}}) {
    EXPECT_EQ(decode_agent_identities(framed(Bytes{type})).error().code, Errc::denied);
    EXPECT_EQ(decode_agent_signature(framed(Bytes{type}), "ssh-ed25519").error().code, Errc::denied);
  }
}

TEST(AgentProtocol, RefusesOtherAnswers) {
  for (unsigned type = 0; type < 256; ++type) {
    if (type == 5 || type == 28) continue;
    const Bytes answer = framed(Bytes{static_cast<std::uint8_t>(type), 0, 0, 0, 0});
    if (type != 12) {
      EXPECT_EQ(decode_agent_identities(answer).error().code, Errc::protocol) << type;
    }
    if (type != 14) {
      EXPECT_EQ(decode_agent_signature(answer, "ssh-ed25519").error().code, Errc::protocol) << type;
    }
  }
}

TEST(AgentProtocol, RefusesEveryTruncationAndExtraBytes) {
  for (const Bytes& whole : {two_identities(), sign_response("ssh-ed25519")}) {
    const Bytes content(whole.begin() + 4, whole.end());
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(decode_agent_identities(ByteView(whole).first(size)));
      EXPECT_FALSE(decode_agent_signature(ByteView(whole).first(size), "ssh-ed25519"));
    }
    for (std::size_t size = 0; size < content.size(); ++size) {  // cut, with a length that fits
      EXPECT_FALSE(decode_agent_identities(framed(ByteView(content).first(size)))) << size;
      EXPECT_FALSE(decode_agent_signature(framed(ByteView(content).first(size)), "ssh-ed25519")) << size;
    }
    Bytes longer = content;
    longer.push_back(0);
    EXPECT_FALSE(decode_agent_identities(framed(longer)));
    EXPECT_FALSE(decode_agent_signature(framed(longer), "ssh-ed25519"));
    longer = whole;
    longer.push_back(0);
    EXPECT_FALSE(decode_agent_identities(longer));
    EXPECT_FALSE(decode_agent_signature(longer, "ssh-ed25519"));
  }
}

}  // namespace
}  // namespace culvert::ssh

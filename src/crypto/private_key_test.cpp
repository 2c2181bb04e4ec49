// SPDX-License-Identifier: Apache-2.0
#include "crypto/private_key.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/wire.hpp"
#include "crypto/base64.hpp"
#include "crypto/hash.hpp"
#include "crypto/key_fixtures_test.hpp"
#include "crypto/openssh_key_file.hpp"

namespace culvert::crypto {
namespace {

constexpr std::string_view kMessage = "a message";

const KeyFixture& key_fixture(std::string_view name) {
  return *std::ranges::find(kKeyFixtures, name, &KeyFixture::name);
}

const KeyFileFixture& file_fixture(std::string_view name) {
  return *std::ranges::find(kKeyFileFixtures, name, &KeyFileFixture::name);
}

PublicKey public_key_of(std::string_view fixture) {
  return *parse_public_key_line(key_fixture(fixture).public_line);
}

PrivateKey private_key_of(std::string_view fixture) {
  return *parse_private_key(file_fixture("openssh_" + std::string(fixture)).text);
}

std::vector<std::string_view> all_key_names() {
  std::vector<std::string_view> names;
  for (const KeyFixture& fixture : kKeyFixtures) names.push_back(fixture.name);
  return names;
}

/// What is in a text with BEGIN and END lines.
Bytes armoured(std::string_view text) {
  std::string digits;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.starts_with("-----")) digits += line;
  }
  return *base64_decode(digits);
}

std::string armour_openssh(ByteView bytes) {
  return "-----BEGIN OPENSSH PRIVATE KEY-----\n" + base64_encode(bytes) +
         "\n-----END OPENSSH PRIVATE KEY-----\n";
}

class KeyFiles : public testing::TestWithParam<KeyFileFixture> {};

TEST_P(KeyFiles, OpenAndSign) {
  const SecretBytes passphrase(kPassphrase);
  const auto key = parse_private_key(GetParam().text, GetParam().encrypted ? &passphrase : nullptr);
  ASSERT_TRUE(key) << key.error().message;
  const PublicKey expected = public_key_of(GetParam().key);
  EXPECT_TRUE(key->public_key() == expected);
  if (GetParam().name.starts_with("openssh_")) {
    EXPECT_EQ(key->comment(), std::string(GetParam().key) + " comment");
  }
  for (const std::string_view algorithm : signature_algorithms(expected.type())) {
    const auto signature = key->sign(algorithm, as_bytes(kMessage));
    ASSERT_TRUE(signature) << signature.error().message;
    EXPECT_TRUE(expected.verify(algorithm, as_bytes(kMessage), *signature));
  }
}

TEST_P(KeyFiles, SayWhatIsMissing) {
  const bool shows_public_half = GetParam().name.starts_with("openssh_") || !GetParam().encrypted;
  const auto half = parse_public_half(GetParam().text);
  ASSERT_EQ(half.has_value(), shows_public_half);
  if (half) {
    EXPECT_TRUE(*half == public_key_of(GetParam().key));
  } else {
    EXPECT_EQ(half.error().code, Errc::needs_passphrase);
  }
  if (!GetParam().encrypted) return;

  const auto without = parse_private_key(GetParam().text);
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().code, Errc::needs_passphrase);
  for (const std::string& wrong : {std::string("correct horsE"), std::string(), std::string(5000, 'x')}) {
    const SecretBytes passphrase{std::string_view(wrong)};
    const auto result = parse_private_key(GetParam().text, &passphrase);
    ASSERT_FALSE(result) << wrong;
    EXPECT_EQ(result.error().code, Errc::wrong_passphrase) << result.error().message;
  }
}

TEST_P(KeyFiles, ReadWithOtherLineEndsAndTextAround) {
  const SecretBytes passphrase(kPassphrase);
  std::string text(GetParam().text);
  for (std::size_t at = 0; (at = text.find('\n', at)) != text.npos; at += 2) text.replace(at, 1, "\r\n");
  EXPECT_TRUE(parse_private_key(text, &passphrase));
  EXPECT_TRUE(
      parse_private_key("Some words.\n" + std::string(GetParam().text) + "More words.\n", &passphrase));
}

TEST_P(KeyFiles, RefuseEveryTruncation) {
  const std::string_view text = GetParam().text;
  const std::size_t last_dashes = text.rfind("-----");
  for (std::size_t size = 0; size < last_dashes + 5; size += size + 200 < last_dashes ? 7 : 1) {
    EXPECT_FALSE(parse_private_key(text.substr(0, size))) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(All, KeyFiles, testing::ValuesIn(kKeyFileFixtures),
                         [](const auto& info) { return std::string(info.param.name); });

class Keys : public testing::TestWithParam<std::string_view> {};

TEST_P(Keys, AreShownAsSshKeygenShowsThem) {
  const KeyFixture& fixture = key_fixture(GetParam());
  const PublicKey key = public_key_of(GetParam());
  EXPECT_EQ(std::to_string(key.bits()) + " " + key.fingerprint() + " " + std::string(GetParam()) +
                " comment (" + std::string(key.short_type()) + ")",
            fixture.listing);
  EXPECT_TRUE(fixture.public_line.starts_with(key.type() + " " + base64_encode(key.blob()) + " "));
}

/// PROTOCOL.sshsig in OpenSSH's sources: what ssh-keygen -Y sign makes, and what it signs.
TEST_P(Keys, AgreeWithSignaturesOfSshKeygen) {
  const PublicKey key = public_key_of(GetParam());
  const Bytes file = armoured(key_fixture(GetParam()).ssh_signature);
  Reader reader(file);
  EXPECT_EQ(as_text(*reader.bytes(6)), "SSHSIG");
  EXPECT_EQ(*reader.u32(), 1u);
  EXPECT_TRUE(std::ranges::equal(*reader.string(), key.blob()));
  const std::string_view name_space = *reader.text();
  ASSERT_TRUE(reader.string());
  const std::string_view hash_name = *reader.text();
  EXPECT_EQ(hash_name, "sha512");
  const ByteView signature = *reader.string();
  EXPECT_TRUE(reader.end());

  Bytes message = copy_of(as_bytes("SSHSIG"));
  Writer(message)
      .text(name_space)
      .text("")
      .text(hash_name)
      .string(hash(HashId::sha512, as_bytes("the message\n")));
  const std::string_view algorithm = signature_algorithms(key.type()).front();
  EXPECT_TRUE(key.verify(algorithm, message, signature));
  const auto ours = private_key_of(GetParam()).sign(algorithm, message);
  ASSERT_TRUE(ours);
  if (key.short_type() != "ECDSA") {
    EXPECT_TRUE(std::ranges::equal(*ours, signature));  // these two are deterministic
  }
  EXPECT_TRUE(key.verify(algorithm, message, *ours));
}

TEST_P(Keys, RefuseEveryFlippedByteOfASignature) {
  const PrivateKey key = private_key_of(GetParam());
  for (const std::string_view algorithm : signature_algorithms(key.public_key().type())) {
    Bytes signature = *key.sign(algorithm, as_bytes(kMessage));
    ASSERT_TRUE(key.public_key().verify(algorithm, as_bytes(kMessage), signature));
    for (std::size_t i = 0; i < signature.size(); ++i) {
      for (const std::uint8_t mask : {std::uint8_t{0x01}, std::uint8_t{0x80}}) {
        signature[i] ^= mask;
        const auto result = key.public_key().verify(algorithm, as_bytes(kMessage), signature);
        ASSERT_FALSE(result) << i;
        EXPECT_EQ(result.error().code, Errc::verification);
        signature[i] ^= mask;
      }
    }
    for (std::size_t size = 0; size < signature.size(); ++size) {
      EXPECT_FALSE(key.public_key().verify(algorithm, as_bytes(kMessage), ByteView(signature).first(size)))
          << size;
    }
    signature.push_back(0);
    EXPECT_FALSE(key.public_key().verify(algorithm, as_bytes(kMessage), signature));
  }
}

TEST_P(Keys, RefuseOtherMessagesKeysAndAlgorithms) {
  const PrivateKey key = private_key_of(GetParam());
  for (const std::string_view algorithm : signature_algorithms(key.public_key().type())) {
    const Bytes signature = *key.sign(algorithm, as_bytes(kMessage));
    EXPECT_FALSE(key.public_key().verify(algorithm, as_bytes("b message"), signature));
    for (const KeyFixture& other : kKeyFixtures) {
      const PublicKey other_key = public_key_of(other.name);
      if (other.name != GetParam()) {
        EXPECT_FALSE(other_key.verify(algorithm, as_bytes(kMessage), signature));
        EXPECT_FALSE(other_key == key.public_key());
      }
      for (const std::string_view other_algorithm : signature_algorithms(other_key.type())) {
        if (other_algorithm == algorithm) continue;
        EXPECT_FALSE(key.public_key().verify(other_algorithm, as_bytes(kMessage), signature));
      }
    }
  }
  for (const std::string_view algorithm :
       {"ssh-rsa", "ssh-dss", "", "rsa-sha2-384", "ssh-ed25519-cert-v01@openssh.com"}) {
    const auto result = key.sign(algorithm, as_bytes(kMessage));
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::unsupported);
    EXPECT_FALSE(key.public_key().verify(algorithm, as_bytes(kMessage), {}));
  }
}

TEST_P(Keys, RefuseEveryTruncationOfABlobAndExtraBytes) {
  Bytes blob = copy_of(public_key_of(GetParam()).blob());
  for (std::size_t size = 0; size < blob.size(); ++size) {
    EXPECT_FALSE(PublicKey::parse(ByteView(blob).first(size))) << size;
  }
  blob.push_back(0);
  EXPECT_FALSE(PublicKey::parse(blob));
}

/// In an unencrypted file every byte matters: type, lengths, each number, check ints, padding, the public
/// half.
TEST_P(Keys, RefuseEveryFlippedByteOfAKeyFile) {
  const std::string_view text = file_fixture("openssh_" + std::string(GetParam())).text;
  Bytes bytes = armoured(text);
  ASSERT_TRUE(parse_private_key(armour_openssh(bytes)));
  const std::size_t comment = bytes.size() - 8 - GetParam().size() - std::string_view(" comment").size();
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= 1;
    const auto key = parse_private_key(armour_openssh(bytes));
    bytes[i] ^= 1;
    if (!key) continue;
    ++accepted;
    EXPECT_GE(i, comment) << "only the comment may change";
    EXPECT_NE(key->comment(), std::string(GetParam()) + " comment");
  }
  EXPECT_EQ(accepted, GetParam().size() + std::string_view(" comment").size());
  bytes.push_back(0);
  EXPECT_FALSE(parse_private_key(armour_openssh(bytes)));
}

INSTANTIATE_TEST_SUITE_P(All, Keys, testing::ValuesIn(all_key_names()),
                         [](const auto& info) { return std::string(info.param); });

TEST(PrivateKey, GeneratesWorkingPairs) {
  const PrivateKey first = PrivateKey::generate_ed25519();
  const PrivateKey second = PrivateKey::generate_ed25519();
  EXPECT_FALSE(first.public_key() == second.public_key());
  const auto signature = first.sign("ssh-ed25519", as_bytes(kMessage));
  ASSERT_TRUE(signature);
  EXPECT_TRUE(first.public_key().verify("ssh-ed25519", as_bytes(kMessage), *signature));
  EXPECT_FALSE(second.public_key().verify("ssh-ed25519", as_bytes(kMessage), *signature));
}

TEST(PrivateKey, RefusesTooManyRounds) {
  const SecretBytes passphrase(kPassphrase);
  const auto result =
      parse_openssh_private_key(file_fixture("openssh_ed25519_default").text, &passphrase, 15);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::limit);
}

TEST(PrivateKey, RefusesTooManyIterations) {
  const SecretBytes passphrase(kPassphrase);
  const auto result = parse_private_key(kCostlyKeyFile, &passphrase);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::limit) << result.error().message;
}

TEST(PrivateKey, RefusesTooMuchScrypt) {
  Bytes der = armoured(file_fixture("pkcs8_ed25519_scrypt").text);
  const Bytes parameters{2, 2, 0x40, 0, 2, 1, 8, 2, 1, 1};  // N = 16384, r = 8, p = 1
  const auto found = std::ranges::search(der, parameters);
  ASSERT_FALSE(found.empty());
  found[6] = 127;
  found[9] = 127;
  const SecretBytes passphrase(kPassphrase);
  const auto result = parse_private_key("-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + base64_encode(der) +
                                            "\n-----END ENCRYPTED PRIVATE KEY-----\n",
                                        &passphrase);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::limit) << result.error().message;
}

TEST(PrivateKey, SaysWhatAFileIsThatHoldsNoPrivateKey) {
  const std::pair<std::string_view, Errc> kTable[] = {
      {"", Errc::malformed},
      {"-----BEGIN ", Errc::malformed},
      {key_fixture("rsa").public_line, Errc::malformed},
      {"PuTTY-User-Key-File-3: ssh-ed25519\n", Errc::unsupported},
      {"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", Errc::malformed},
      {"-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n", Errc::unsupported},
      {"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", Errc::malformed},
      {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: ROT13,00\n\nAAAA\n-----END RSA "
       "PRIVATE "
       "KEY-----\n",
       Errc::unsupported},
      {"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", Errc::malformed},
      {"-----BEGIN OPENSSH PRIVATE KEY-----\nA*AA\n-----END OPENSSH PRIVATE KEY-----\n", Errc::malformed},
      {"-----END OPENSSH PRIVATE KEY-----\n-----BEGIN OPENSSH PRIVATE KEY-----\n", Errc::malformed},
  };
  for (const auto& [text, code] : kTable) {
    const auto result = parse_private_key(text);
    ASSERT_FALSE(result) << text;
    EXPECT_EQ(result.error().code, code) << text << ": " << result.error().message;
  }
  const auto large = parse_private_key(std::string(64 * 1024 + 1, ' '));
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code, Errc::limit);
}

TEST(PublicKeyLine, ReadsAPubFileAndRefusesTheRest) {
  const std::string line(key_fixture("ed25519").public_line);
  const std::string bare = line.substr(0, line.find(' ', line.find(' ') + 1));
  for (const std::string& good : {line, bare, line + "\r\n", "  " + bare + "\t"}) {
    EXPECT_TRUE(parse_public_key_line(good)) << good;
  }
  for (const std::string& bad :
       {std::string(), std::string("ssh-ed25519"), "ssh-rsa" + bare.substr(bare.find(' ')),
        bare.substr(0, bare.size() - 1), bare + "A", "x" + bare, std::string("ssh-ed25519 AAAA")}) {
    EXPECT_FALSE(parse_public_key_line(bad)) << bad;
  }
}

TEST(SignatureAlgorithms, BelongToKeyTypes) {
  for (const std::string_view name : all_key_names()) {
    const std::string type = public_key_of(name).type();
    ASSERT_FALSE(signature_algorithms(type).empty());
    for (const std::string_view algorithm : signature_algorithms(type))
      EXPECT_EQ(key_type_of(algorithm), type);
  }
  EXPECT_EQ(signature_algorithms("ssh-rsa"), (std::vector<std::string_view>{"rsa-sha2-512", "rsa-sha2-256"}));
  EXPECT_TRUE(signature_algorithms("ssh-dss").empty());
  EXPECT_TRUE(key_type_of("ssh-rsa").empty()) << "SHA-1";
  EXPECT_TRUE(key_type_of("").empty());
}

TEST(PrivateKey, WhatIsWrittenIsReadAgain) {
  const PrivateKey key = PrivateKey::generate_ed25519();
  const SecretBytes text = write_private_key(key);
  const auto read = parse_private_key(text.text());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->public_key(), key.public_key());
  EXPECT_EQ(encode_private_key(*read).text(), encode_private_key(key).text());
}

}  // namespace
}  // namespace culvert::crypto

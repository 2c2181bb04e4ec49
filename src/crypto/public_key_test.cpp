// SPDX-License-Identifier: Apache-2.0
#include "crypto/public_key.hpp"

#include <gtest/gtest.h>

#include "base/wire.hpp"
#include "crypto/base64.hpp"
#include "crypto/wycheproof_test.hpp"

namespace culvert::crypto {
namespace {

namespace json = boost::json;

Bytes signature_blob(std::string_view algorithm, ByteView raw) {
  Bytes blob;
  Writer(blob).text(algorithm).string(raw);
  return blob;
}

Bytes ed25519_blob(ByteView point) {
  Bytes blob;
  Writer(blob).text("ssh-ed25519").string(point);
  return blob;
}

Bytes ecdsa_blob(std::string_view curve, ByteView point) {
  Bytes blob;
  Writer(blob).text("ecdsa-sha2-" + std::string(curve)).text(curve).string(point);
  return blob;
}

Bytes rsa_blob(ByteView e, ByteView n) {
  Bytes blob;
  Writer(blob).text("ssh-rsa").mpint(e).mpint(n);
  return blob;
}

/// A DER SEQUENCE of two INTEGERs that are not negative, as r and s of RFC 5656 section 3.1.2; none for any
/// other bytes.
std::optional<Bytes> blob_from_der(ByteView der) {
  std::size_t at = 0;
  const auto take_head = [&](std::uint8_t tag) -> std::optional<std::size_t> {
    if (at + 2 > der.size() || der[at] != tag) return std::nullopt;
    std::size_t length = der[at + 1];
    at += 2;
    if (length == 0x81) {
      if (at >= der.size() || der[at] < 0x80) return std::nullopt;
      length = der[at++];
    } else if (length > 0x81) {
      return std::nullopt;
    }
    return length <= der.size() - at ? std::optional(length) : std::nullopt;
  };
  const auto whole = take_head(0x30);
  if (!whole || *whole != der.size() - at) return std::nullopt;
  Bytes blob;
  Writer writer(blob);
  for (int i = 0; i < 2; ++i) {
    const auto length = take_head(0x02);
    if (!length || *length == 0) return std::nullopt;
    const ByteView number = der.subspan(at, *length);
    if ((number[0] & 0x80) != 0) return std::nullopt;
    if (number.size() > 1 && number[0] == 0 && (number[1] & 0x80) == 0) return std::nullopt;
    writer.mpint(number);
    at += *length;
  }
  return at == der.size() ? std::optional(blob) : std::nullopt;
}

std::optional<Bytes> as_it_is(Bytes signature) { return signature; }

struct VectorFile {
  std::string file, algorithm;
  Bytes (*make_key)(const json::value& group);
  /// The raw part of the signature blob; none: the vector is about an encoding that SSH does not have.
  std::optional<Bytes> (*make_signature)(Bytes);
};

Bytes ed25519_key(const json::value& group) { return ed25519_blob(hex_field(group.at("publicKey"), "pk")); }
Bytes rsa_key(const json::value& group) {
  const json::value& key = group.at("publicKey");
  return rsa_blob(hex_field(key, "publicExponent"), hex_field(key, "modulus"));
}
Bytes ecdsa_key(const json::value& group) {
  const json::value& key = group.at("publicKey");
  return ecdsa_blob("nistp" + text_field(key, "curve").substr(4, 3), hex_field(key, "uncompressed"));
}
std::optional<Bytes> ecdsa_signature(Bytes der) { return blob_from_der(der); }

const VectorFile kVectorFiles[] = {
    {"ed25519_test.json", "ssh-ed25519", ed25519_key, as_it_is},
    {"ecdsa_secp256r1_sha256_test.json", "ecdsa-sha2-nistp256", ecdsa_key, ecdsa_signature},
    {"ecdsa_secp384r1_sha384_test.json", "ecdsa-sha2-nistp384", ecdsa_key, ecdsa_signature},
    {"ecdsa_secp521r1_sha512_test.json", "ecdsa-sha2-nistp521", ecdsa_key, ecdsa_signature},
    {"rsa_signature_2048_sha512_test.json", "rsa-sha2-512", rsa_key, as_it_is},
    {"rsa_signature_3072_sha256_test.json", "rsa-sha2-256", rsa_key, as_it_is},
};

class PublicKeyVectors : public testing::TestWithParam<VectorFile> {};

TEST_P(PublicKeyVectors, AllVerdicts) {
  CULVERT_LOAD_VECTORS(file, GetParam().file);
  std::size_t valid = 0;
  std::size_t invalid = 0;
  for (const json::value& group : file.at("testGroups").as_array()) {
    const auto key = PublicKey::parse(GetParam().make_key(group));
    ASSERT_TRUE(key) << key.error().message;
    for (const json::value& test : group.at("tests").as_array()) {
      if (verdict(test) == Verdict::acceptable) continue;
      const bool expected = verdict(test) == Verdict::valid;
      const auto raw = GetParam().make_signature(hex_field(test, "sig"));
      const bool fits = raw && key->verify(GetParam().algorithm, hex_field(test, "msg"),
                                           signature_blob(GetParam().algorithm, *raw));
      EXPECT_EQ(fits, expected) << "tcId " << test.at("tcId").as_int64();
      ++(expected ? valid : invalid);
    }
  }
  EXPECT_GE(valid, 8u);
  EXPECT_GE(invalid, 50u);
}

INSTANTIATE_TEST_SUITE_P(Wycheproof, PublicKeyVectors, testing::ValuesIn(kVectorFiles), [](const auto& info) {
  return info.param.file.substr(0, info.param.file.find("_test"));
});

void expect_refused(ByteView blob, Errc code) {
  const auto key = PublicKey::parse(blob);
  ASSERT_FALSE(key);
  EXPECT_EQ(key.error().code, code) << key.error().message;
}

// The base point of P-256 (FIPS 186-4, D.1.2.3).
Bytes p256_point() {
  return *base64_decode(
      "BGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU=");
}

TEST(PublicKey, RefusesPointsThatAreNotOnTheirCurve) {
  Bytes point = p256_point();
  ASSERT_TRUE(PublicKey::parse(ecdsa_blob("nistp256", point)));
  point.back() ^= 1;
  expect_refused(ecdsa_blob("nistp256", point), Errc::malformed);
  point.back() ^= 1;
  point[0] = 6;  // "hybrid" form
  expect_refused(ecdsa_blob("nistp256", point), Errc::malformed);
  point[0] = 2;
  expect_refused(ecdsa_blob("nistp256", ByteView(point).first(33)), Errc::malformed);
  expect_refused(ecdsa_blob("nistp256", Bytes{0}), Errc::malformed);  // infinity
  expect_refused(ecdsa_blob("nistp256", {}), Errc::malformed);
  expect_refused(ecdsa_blob("nistp256", Bytes(65)), Errc::malformed);
  expect_refused(ecdsa_blob("nistp384", p256_point()), Errc::malformed);
}

TEST(PublicKey, RefusesACurveThatIsNotTheTypes) {
  Bytes blob;
  Writer(blob).text("ecdsa-sha2-nistp384").text("nistp256").string(p256_point());
  expect_refused(blob, Errc::malformed);
}

TEST(PublicKey, BoundsRsa) {
  const auto modulus = [](std::size_t bits) {
    Bytes n(bits / 8, 0xff);
    return n;
  };
  const Bytes e{1, 0, 1};
  EXPECT_EQ(PublicKey::parse(rsa_blob(e, modulus(2048)))->bits(), 2048u);
  EXPECT_EQ(PublicKey::parse(rsa_blob(e, modulus(16384)))->bits(), 16384u);
  expect_refused(rsa_blob(e, modulus(2040)), Errc::unsupported);
  expect_refused(rsa_blob(e, modulus(16392)), Errc::malformed);
  expect_refused(rsa_blob(e, {}), Errc::unsupported);
  for (const Bytes& bad : {Bytes{}, Bytes{1}, Bytes{2}, Bytes{1, 0, 0}}) {
    expect_refused(rsa_blob(bad, modulus(2048)), Errc::malformed);
  }
  expect_refused(rsa_blob(Bytes(9, 0xff), modulus(2048)), Errc::unsupported);
  Bytes even = modulus(2048);
  even.back() = 0xfe;
  expect_refused(rsa_blob(e, even), Errc::malformed);
}

TEST(PublicKey, HasOneBlobOnly) {
  const Bytes n(256, 0x7f);
  Bytes padded{0};
  padded.insert(padded.end(), n.begin(), n.end());
  Bytes blob;
  Writer(blob).text("ssh-rsa").mpint(Bytes{1, 0, 1}).string(padded);
  expect_refused(blob, Errc::unsupported);  // 2047 bits
  padded[1] = 0x80;
  padded.insert(padded.begin(), 0);
  blob.clear();
  Writer(blob).text("ssh-rsa").mpint(Bytes{1, 0, 1}).string(padded);
  expect_refused(blob, Errc::malformed);
  blob.clear();
  Writer(blob).text("ssh-rsa").mpint(Bytes{1, 0, 1}).string(ByteView(padded).subspan(1));
  EXPECT_TRUE(PublicKey::parse(blob));
}

TEST(PublicKey, RefusesOtherTypes) {
  for (const std::string_view type :
       {"ssh-dss", "ssh-ed448", "ssh-ed25519-cert-v01@openssh.com", "", "rsa-sha2-512"}) {
    Bytes blob;
    Writer(blob).text(type).string(Bytes(32));
    expect_refused(blob, Errc::unsupported);
  }
  expect_refused(ed25519_blob(Bytes(31)), Errc::malformed);
  expect_refused(ed25519_blob(Bytes(33)), Errc::malformed);
  expect_refused({}, Errc::malformed);
}

}  // namespace
}  // namespace culvert::crypto

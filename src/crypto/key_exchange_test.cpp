// SPDX-License-Identifier: Apache-2.0
#include "crypto/key_exchange.hpp"

#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <set>

#include "base/wire.hpp"
#include "crypto/algorithms.hpp"
#include "crypto/key_exchanges.hpp"
#include "crypto/mlkem768.hpp"
#include "crypto/random_test.hpp"
#include "crypto/wycheproof_test.hpp"
#include "crypto/x25519.hpp"

namespace culvert::crypto {
namespace {

class EveryKeyExchange : public testing::TestWithParam<KexInfo> {};

INSTANTIATE_TEST_SUITE_P(Rows, EveryKeyExchange,
                         testing::ValuesIn(key_exchanges().begin(), key_exchanges().end()),
                         [](const auto& row) {
                           std::string name(row.param.name);
                           std::erase_if(name,
                                         [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); });
                           return name;
                         });

TEST_P(EveryKeyExchange, BothEndsAgree) {
  RepeatableRandom random(1);
  std::set<Bytes> secrets;
  for (int i = 0; i < 5; ++i) {
    const auto client = GetParam().make();
    const auto server = GetParam().make();
    const auto request = client->start(random);
    ASSERT_TRUE(request.has_value());
    const auto response = server->respond(*request, random);
    ASSERT_TRUE(response.has_value()) << response.error().message;
    const auto secret = client->finish(response->value);
    ASSERT_TRUE(secret.has_value()) << secret.error().message;
    EXPECT_EQ(copy_of(secret->encoded), copy_of(response->secret.encoded));
    secrets.insert(copy_of(secret->encoded));

    Reader reader(secret->encoded);
    if (GetParam().name == "mlkem768x25519-sha256") {
      EXPECT_EQ(reader.string().value().size(), 32U);
    } else {
      EXPECT_TRUE(reader.mpint().has_value());
    }
    EXPECT_TRUE(reader.end().has_value());
  }
  EXPECT_EQ(secrets.size(), 5U);
}

TEST_P(EveryKeyExchange, TheSameRandomBytesGiveTheSameValues) {
  RepeatableRandom first(2);
  RepeatableRandom second(2);
  EXPECT_EQ(GetParam().make()->start(first).value(), GetParam().make()->start(second).value());
}

void expect_refused(const KexInfo& row, ByteView value) {
  RepeatableRandom random(3);
  const auto response = row.make()->respond(value, random);
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().code, Errc::protocol);
  EXPECT_EQ(response.error().detail, 3);
  const auto client = row.make();
  ASSERT_TRUE(client->start(random).has_value());
  const auto secret = client->finish(value);
  ASSERT_FALSE(secret.has_value());
  EXPECT_EQ(secret.error().code, Errc::protocol);
  EXPECT_EQ(secret.error().detail, 3);
}

TEST_P(EveryKeyExchange, WrongLengthsAreRefused) {
  RepeatableRandom random(4);
  expect_refused(GetParam(), {});
  const auto client = GetParam().make();
  Bytes good = client->start(random).value();
  // A leading zero does not change a magnitude, and a shorter one is another number.
  if (!client->values_are_mpints()) {
    expect_refused(GetParam(), ByteView(good).first(good.size() - 1));
    expect_refused(GetParam(), ByteView(good).subspan(1));
    expect_refused(GetParam(), ByteView(good).first(1));
  }
  good.push_back(0);
  expect_refused(GetParam(), good);
  expect_refused(GetParam(), Bytes(70'000, 0xab));
}

TEST(Curve25519, AllZeroResultsAreRefused) {
  const KexInfo& row = *find_key_exchange("curve25519-sha256");
  Bytes one(32);
  one[0] = 1;
  expect_refused(row, Bytes(32));  // a point of order 2
  expect_refused(row, one);        // of order 4
}

TEST(Mlkem768X25519, BadPartsAreRefused) {
  RepeatableRandom random(5);
  const KexInfo& row = *find_key_exchange("mlkem768x25519-sha256");
  const auto client = row.make();
  const Bytes good = client->start(random).value();
  ASSERT_EQ(good.size(), 1184U + 32U);
  Bytes zero_point = good;
  std::fill(zero_point.end() - 32, zero_point.end(), std::uint8_t{0});
  EXPECT_FALSE(row.make()->respond(zero_point, random).has_value());
  Bytes large_coefficient = good;
  large_coefficient[0] = 0x01;  // q itself, in the lower twelve bits
  large_coefficient[1] = static_cast<std::uint8_t>((large_coefficient[1] & 0xf0) | 0x0d);
  EXPECT_FALSE(row.make()->respond(large_coefficient, random).has_value());
  large_coefficient[0] = 0x00;  // q - 1
  EXPECT_TRUE(row.make()->respond(large_coefficient, random).has_value());

  Bytes answer = row.make()->respond(good, random).value().value;
  ASSERT_EQ(answer.size(), 1088U + 32U);
  std::fill(answer.end() - 32, answer.end(), std::uint8_t{0});
  EXPECT_FALSE(client->finish(answer).has_value());
}

TEST(Mlkem768X25519, SecretIsTheHashOfBothPartsMlKemFirst) {
  RepeatableRandom random(6);
  const Bytes seed = random.bytes(64);
  const Bytes x25519_private = random.bytes(32);
  Bytes both = seed;
  both.insert(both.end(), x25519_private.begin(), x25519_private.end());
  ChosenRandom chosen(both);
  const auto client = make_mlkem768x25519();
  const Bytes request = client->start(chosen).value();
  const auto response = make_mlkem768x25519()->respond(request, random).value();

  const auto pair = mlkem768::generate(seed);
  EXPECT_TRUE(std::ranges::equal(pair.encapsulation_key, ByteView(request).first(1184)));
  const auto post_quantum =
      mlkem768::decapsulate(pair.decapsulation_key, ByteView(response.value).first(1088));
  const auto classical = X25519Key(x25519_private).agree(ByteView(response.value).last(32));
  Bytes joined = copy_of(post_quantum.value());
  joined.insert(joined.end(), classical->view().begin(), classical->view().end());
  Bytes expected;
  Writer(expected).string(hash(HashId::sha256, joined));
  EXPECT_EQ(copy_of(client->finish(response.value).value().encoded), expected);
}

TEST(Curve25519, Wycheproof) {
  CULVERT_LOAD_VECTORS(vectors, "x25519_test.json");
  int count = 0;
  for (const auto& group : vectors.at("testGroups").as_array()) {
    for (const auto& test : group.at("tests").as_array()) {
      ChosenRandom chosen(hex_field(test, "private"));
      const auto client = make_curve25519();
      ASSERT_TRUE(client->start(chosen).has_value());
      const Bytes shared = hex_field(test, "shared");
      const auto secret = client->finish(hex_field(test, "public"));
      // "Acceptable" here: points on the twist, non-canonical ones (both fine), and zero results (refused).
      ASSERT_EQ(secret.has_value(), shared != Bytes(32)) << test;
      if (secret) {
        Bytes expected;
        Writer(expected).mpint(shared);
        EXPECT_EQ(copy_of(secret->encoded), expected) << test;
      }
      ++count;
    }
  }
  EXPECT_EQ(count, vectors.at("numberOfTests").as_int64());
}

/// The uncompressed point in a SubjectPublicKeyInfo of the named curve; empty if OpenSSL does not read it so.
Bytes point_of(ByteView info, std::string_view curve) {
  const std::uint8_t* at = info.data();
  EVP_PKEY* const key = d2i_PUBKEY(nullptr, &at, static_cast<long>(info.size()));
  if (key == nullptr) return {};
  std::array<char, 64> group{};
  Bytes point(256);
  std::size_t size = 0;
  const bool fits =
      EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) == 1 && curve == group.data() &&
      EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size(), &size) == 1;
  EVP_PKEY_free(key);
  point.resize(fits ? size : 0);
  return point;
}

bool has_flag(const boost::json::value& test, std::string_view flag) {
  return std::ranges::any_of(test.at("flags").as_array(),
                             [&](const auto& f) { return f.as_string() == flag; });
}

void check_ecdh(EcdhCurve curve, std::string_view name, std::size_t size, std::string_view file) {
  CULVERT_LOAD_VECTORS(vectors, file);
  int agreed = 0;
  int refused = 0;
  for (const auto& group : vectors.at("testGroups").as_array()) {
    for (const auto& test : group.at("tests").as_array()) {
      // The scalar as we draw it: exactly as long as the field.
      Bytes scalar = hex_field(test, "private");
      while (scalar.size() > size && scalar.front() == 0) scalar.erase(scalar.begin());
      ASSERT_LE(scalar.size(), size);
      scalar.insert(scalar.begin(), size - scalar.size(), 0);
      ChosenRandom chosen(scalar);
      const auto client = make_ecdh(curve);
      ASSERT_TRUE(client->start(chosen).has_value());

      const Bytes point = point_of(hex_field(test, "public"), name);
      const auto secret = client->finish(point);
      if (verdict(test) == Verdict::valid) ASSERT_TRUE(secret.has_value()) << test;
      if (!secret) {
        ++refused;
        continue;
      }
      // SSH sends the point alone, so what is wrong with a curve spelled out in an ASN.1 frame never reaches
      // us.
      EXPECT_TRUE(verdict(test) != Verdict::invalid || has_flag(test, "UnnamedCurve")) << test;
      Bytes expected;
      Writer(expected).mpint(hex_field(test, "shared"));
      EXPECT_EQ(copy_of(secret->encoded), expected) << test;
      ++agreed;
    }
  }
  EXPECT_EQ(agreed + refused, vectors.at("numberOfTests").as_int64());
  EXPECT_GT(agreed, 300);
  EXPECT_GT(refused, 20);
}

TEST(Ecdh, WycheproofP256) { check_ecdh(EcdhCurve::nistp256, "prime256v1", 32, "ecdh_secp256r1_test.json"); }
TEST(Ecdh, WycheproofP384) { check_ecdh(EcdhCurve::nistp384, "secp384r1", 48, "ecdh_secp384r1_test.json"); }
TEST(Ecdh, WycheproofP521) { check_ecdh(EcdhCurve::nistp521, "secp521r1", 66, "ecdh_secp521r1_test.json"); }

TEST(Ecdh, ValuesThatAreNoPointsAreRefused) {
  RepeatableRandom random(7);
  for (const std::string_view name : {"ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521"}) {
    const KexInfo& row = *find_key_exchange(name);
    const Bytes good = row.make()->start(random).value();
    Bytes off_curve = good;
    off_curve.back() ^= 1;
    expect_refused(row, off_curve);
    Bytes compressed(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(1 + good.size() / 2));
    compressed[0] = static_cast<std::uint8_t>(2 + (good.back() & 1));
    expect_refused(row, compressed);
    Bytes hybrid = good;
    hybrid[0] = static_cast<std::uint8_t>(6 + (good.back() & 1));
    expect_refused(row, hybrid);
    expect_refused(row, Bytes(1));            // infinity
    expect_refused(row, Bytes(good.size()));  // infinity, and zeros behind it
    Bytes zero(good.size());
    zero[0] = 4;
    expect_refused(row, zero);
    Bytes too_large(good.size(), 0xff);
    too_large[0] = 4;
    expect_refused(row, too_large);
  }
}

TEST(Ecdh, ScalarsOutsideTheGroupAreDrawnAgain) {
  Bytes draws(32, 0xff);             // above the order of P-256
  draws.insert(draws.end(), 32, 0);  // zero
  draws.insert(draws.end(), 31, 0);
  draws.push_back(1);  // one: the public value is the generator
  ChosenRandom chosen(draws);
  const Bytes value = make_ecdh(EcdhCurve::nistp256)->start(chosen).value();
  EXPECT_EQ(value[1], 0x6b);
  EXPECT_EQ(value[2], 0x17);
}

Bytes number_plus(BIGNUM* (*prime)(BIGNUM*), int difference) {
  BIGNUM* const p = prime(nullptr);
  if (difference < 0) BN_sub_word(p, static_cast<BN_ULONG>(-difference));
  if (difference > 0) BN_add_word(p, static_cast<BN_ULONG>(difference));
  Bytes out(static_cast<std::size_t>(BN_num_bytes(p)));
  BN_bn2bin(p, out.data());
  BN_free(p);
  return out;
}

TEST(Dh, OnlyValuesFrom2ToPrimeMinus2) {
  struct Row {
    std::string_view name;
    BIGNUM* (*prime)(BIGNUM*);
  };
  for (const auto& [name, prime] : {Row{"diffie-hellman-group14-sha256", BN_get_rfc3526_prime_2048},
                                    Row{"diffie-hellman-group16-sha512", BN_get_rfc3526_prime_4096}}) {
    const KexInfo& row = *find_key_exchange(name);
    EXPECT_TRUE(row.make()->values_are_mpints());
    expect_refused(row, Bytes{0});
    expect_refused(row, Bytes{1});
    expect_refused(row, Bytes{0, 0, 1});
    for (const int difference : {-1, 0, 1}) expect_refused(row, number_plus(prime, difference));
    RepeatableRandom random(8);
    EXPECT_TRUE(row.make()->respond(Bytes{2}, random).has_value());
    EXPECT_TRUE(row.make()->respond(number_plus(prime, -2), random).has_value());
  }
}

TEST(Dh, AgreesWithOpenssl) {
  for (const auto& [group, name, size] :
       {std::tuple{DhGroup::group14, "modp_2048", 256}, std::tuple{DhGroup::group16, "modp_4096", 512}}) {
    EVP_PKEY_CTX* generate = EVP_PKEY_CTX_new_from_name(nullptr, "DH", nullptr);
    std::string group_name = name;
    const std::array parameters = {OSSL_PARAM_construct_utf8_string("group", group_name.data(), 0),
                                   OSSL_PARAM_construct_end()};
    EVP_PKEY* theirs = nullptr;
    ASSERT_EQ(EVP_PKEY_keygen_init(generate), 1);
    ASSERT_EQ(EVP_PKEY_CTX_set_params(generate, parameters.data()), 1);
    ASSERT_EQ(EVP_PKEY_generate(generate, &theirs), 1);
    BIGNUM* number = nullptr;
    ASSERT_EQ(EVP_PKEY_get_bn_param(theirs, OSSL_PKEY_PARAM_PUB_KEY, &number), 1);
    Bytes request(static_cast<std::size_t>(BN_num_bytes(number)));
    BN_bn2bin(number, request.data());

    RepeatableRandom random(9);
    const auto response = make_dh(group)->respond(request, random).value();

    EVP_PKEY* ours = EVP_PKEY_new();
    ASSERT_EQ(EVP_PKEY_copy_parameters(ours, theirs), 1);
    ASSERT_EQ(EVP_PKEY_set1_encoded_public_key(ours, response.value.data(), response.value.size()), 1);
    EVP_PKEY_CTX* derive = EVP_PKEY_CTX_new_from_pkey(nullptr, theirs, nullptr);
    ASSERT_EQ(EVP_PKEY_derive_init(derive), 1);
    ASSERT_EQ(EVP_PKEY_derive_set_peer(derive, ours), 1);
    Bytes shared(static_cast<std::size_t>(size));
    std::size_t shared_size = shared.size();
    ASSERT_EQ(EVP_PKEY_derive(derive, shared.data(), &shared_size), 1);
    shared.resize(shared_size);
    Bytes expected;
    Writer(expected).mpint(shared);
    EXPECT_EQ(copy_of(response.secret.encoded), expected);
    EVP_PKEY_CTX_free(derive);
    EVP_PKEY_CTX_free(generate);
    EVP_PKEY_free(ours);
    EVP_PKEY_free(theirs);
    BN_free(number);
  }
}

}  // namespace
}  // namespace culvert::crypto

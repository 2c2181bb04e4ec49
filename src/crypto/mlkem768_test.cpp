// SPDX-License-Identifier: Apache-2.0
#include "crypto/mlkem768.hpp"

#include <gtest/gtest.h>

#include "crypto/mlkem_field.hpp"
#include "crypto/random_test.hpp"
#include "crypto/wycheproof_test.hpp"

namespace culvert::crypto::mlkem768 {
namespace {

void for_each_test(const boost::json::value& vectors, auto check) {
  int count = 0;
  for (const auto& group : vectors.at("testGroups").as_array()) {
    for (const auto& test : group.at("tests").as_array()) {
      SCOPED_TRACE(test.at("tcId").as_int64());
      check(test);
      ++count;
    }
  }
  EXPECT_EQ(count, vectors.at("numberOfTests").as_int64());
}

TEST(MlKem768, WycheproofKeyGeneration) {
  CULVERT_LOAD_VECTORS(vectors, "mlkem_768_keygen_seed_test.json");
  for_each_test(vectors, [](const auto& test) {
    const KeyPair pair = generate(hex_field(test, "seed"));
    EXPECT_EQ(pair.encapsulation_key, hex_field(test, "ek"));
    EXPECT_EQ(copy_of(pair.decapsulation_key), hex_field(test, "dk"));
  });
}

TEST(MlKem768, WycheproofEncapsulation) {
  CULVERT_LOAD_VECTORS(vectors, "mlkem_768_encaps_test.json");
  for_each_test(vectors, [](const auto& test) {
    const Result<Encapsulated> result = encapsulate(hex_field(test, "ek"), hex_field(test, "m"));
    ASSERT_EQ(result.has_value(), verdict(test) == Verdict::valid);
    if (!result) {
      EXPECT_EQ(result.error().code, Errc::protocol);
      return;
    }
    EXPECT_EQ(result->ciphertext, hex_field(test, "c"));
    EXPECT_EQ(copy_of(result->shared_secret), hex_field(test, "K"));
  });
}

TEST(MlKem768, WycheproofDecapsulationFromSeed) {
  CULVERT_LOAD_VECTORS(vectors, "mlkem_768_test.json");
  for_each_test(vectors, [](const auto& test) {
    const bool valid = verdict(test) == Verdict::valid;
    const Bytes seed = hex_field(test, "seed");
    const Bytes ciphertext = hex_field(test, "c");
    if (seed.size() != kSeedSize) {  // our type of caller cannot have such a seed
      EXPECT_FALSE(valid);
      return;
    }
    const KeyPair pair = generate(seed);
    if (valid) EXPECT_EQ(pair.encapsulation_key, hex_field(test, "ek"));
    const Result<SecretBytes> shared = decapsulate(pair.decapsulation_key, ciphertext);
    if (valid) {
      ASSERT_TRUE(shared.has_value());
      EXPECT_EQ(copy_of(*shared), hex_field(test, "K"));
    } else {
      EXPECT_FALSE(shared.has_value());
    }
  });
}

TEST(MlKem768, WycheproofDecapsulationFromExpandedKey) {
  CULVERT_LOAD_VECTORS(vectors, "mlkem_768_semi_expanded_decaps_test.json");
  for_each_test(vectors, [](const auto& test) {
    const Result<SecretBytes> shared = decapsulate(hex_field(test, "dk"), hex_field(test, "c"));
    ASSERT_EQ(shared.has_value(), verdict(test) == Verdict::valid);
    if (shared) EXPECT_EQ(copy_of(*shared), hex_field(test, "K"));
  });
}

TEST(MlKem768, BothEndsAgree) {
  RepeatableRandom random(7);
  for (int i = 0; i < 50; ++i) {
    const KeyPair pair = generate(random.bytes(kSeedSize));
    const auto sent = encapsulate(pair.encapsulation_key, random.bytes(kMessageSize));
    ASSERT_TRUE(sent.has_value());
    const auto received = decapsulate(pair.decapsulation_key, sent->ciphertext);
    ASSERT_TRUE(received.has_value());
    EXPECT_EQ(copy_of(*received), copy_of(sent->shared_secret));
  }
}

TEST(MlKem768, AChangedCiphertextGivesAnotherSecret) {
  RepeatableRandom random(8);
  const KeyPair pair = generate(random.bytes(kSeedSize));
  auto sent = encapsulate(pair.encapsulation_key, random.bytes(kMessageSize));
  ASSERT_TRUE(sent.has_value());
  Bytes previous;
  for (std::size_t i = 0; i < kCiphertextSize; i += 37) {
    sent->ciphertext[i] ^= 1;
    const auto received = decapsulate(pair.decapsulation_key, sent->ciphertext);
    ASSERT_TRUE(received.has_value());
    EXPECT_NE(copy_of(*received), copy_of(sent->shared_secret));
    EXPECT_NE(copy_of(*received), previous);
    previous = copy_of(*received);
    sent->ciphertext[i] ^= 1;
  }
}

TEST(MlKemField, ReductionsAgreeWithDivision) {
  for (std::uint32_t value = 0; value < 1U << 24; value += 1) {
    ASSERT_EQ(mlkem::reduce(value), value % mlkem::kQ);
  }
  for (std::uint32_t a = 0; a < 2 * mlkem::kQ; ++a) ASSERT_EQ(mlkem::subtract_q_once(a), a % mlkem::kQ);
}

template <unsigned kBits>
void check_compression() {
  for (std::uint32_t x = 0; x < mlkem::kQ; ++x) {
    // round(2^d / q * x) with halves up, by exact integers
    const std::uint32_t expected = ((2 * (x << kBits) + mlkem::kQ) / (2 * mlkem::kQ)) % (1U << kBits);
    ASSERT_EQ(mlkem::compress<kBits>(static_cast<mlkem::Coefficient>(x)), expected);
  }
  for (std::uint32_t y = 0; y < 1U << kBits; ++y) {
    const std::uint32_t expected = (2 * y * mlkem::kQ + (1U << kBits)) / (2U << kBits);
    ASSERT_EQ(mlkem::decompress<kBits>(y), expected);
    ASSERT_EQ(mlkem::compress<kBits>(mlkem::decompress<kBits>(y)), y);
  }
}

TEST(MlKemField, CompressionAgreesWithDivision) {
  check_compression<1>();
  check_compression<4>();
  check_compression<10>();
}

TEST(MlKemField, ProductsAreThoseOfTheRing) {
  RepeatableRandom random(9);
  for (int round = 0; round < 5; ++round) {
    mlkem::Polynomial a{};
    mlkem::Polynomial b{};
    for (auto* f : {&a, &b}) {
      for (auto& c : *f) c = static_cast<mlkem::Coefficient>(random.below(mlkem::kQ));
    }
    std::array<std::int64_t, mlkem::kDegree> expected{};  // X^256 = -1
    for (std::size_t i = 0; i < mlkem::kDegree; ++i) {
      for (std::size_t j = 0; j < mlkem::kDegree; ++j) {
        const std::int64_t product = std::int64_t{a[i]} * b[j];
        expected[(i + j) % mlkem::kDegree] += i + j < mlkem::kDegree ? product : -product;
      }
    }
    mlkem::Polynomial product{};
    mlkem::ntt(a);
    mlkem::ntt(b);
    mlkem::multiply_add(product, a, b);
    mlkem::inverse_ntt(product);
    for (std::size_t i = 0; i < mlkem::kDegree; ++i) {
      const std::int64_t q = mlkem::kQ;
      ASSERT_EQ(product[i], (expected[i] % q + q) % q);
    }
  }
}

}  // namespace
}  // namespace culvert::crypto::mlkem768

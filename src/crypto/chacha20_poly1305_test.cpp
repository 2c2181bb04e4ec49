// SPDX-License-Identifier: Apache-2.0
// The construction of PROTOCOL.chacha20poly1305, computed a second time from the definitions.
#include "crypto/chacha20_poly1305.hpp"

#include <gtest/gtest.h>
#include <openssl/bn.h>

#include <bit>

#include "base/wire.hpp"
#include "crypto/random_test.hpp"

namespace culvert::crypto {
namespace {

std::uint32_t load_little(const std::uint8_t* from) {
  return static_cast<std::uint32_t>(from[0]) | static_cast<std::uint32_t>(from[1]) << 8 |
         static_cast<std::uint32_t>(from[2]) << 16 | static_cast<std::uint32_t>(from[3]) << 24;
}

/// One block of Bernstein's ChaCha20: 64-bit block counter, 64-bit nonce.
std::array<std::uint8_t, 64> chacha_block(ByteView key, std::uint64_t counter, std::uint32_t sequence) {
  std::array<std::uint8_t, 8> nonce{};
  store_u32(nonce.data() + 4, sequence);
  std::array<std::uint32_t, 16> start = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  for (std::size_t i = 0; i < 8; ++i) start[4 + i] = load_little(key.data() + 4 * i);
  start[12] = static_cast<std::uint32_t>(counter);
  start[13] = static_cast<std::uint32_t>(counter >> 32);
  start[14] = load_little(nonce.data());
  start[15] = load_little(nonce.data() + 4);
  auto x = start;
  const auto quarter = [&x](std::size_t a, std::size_t b, std::size_t c, std::size_t d) {
    x[a] += x[b], x[d] = std::rotl(x[d] ^ x[a], 16);
    x[c] += x[d], x[b] = std::rotl(x[b] ^ x[c], 12);
    x[a] += x[b], x[d] = std::rotl(x[d] ^ x[a], 8);
    x[c] += x[d], x[b] = std::rotl(x[b] ^ x[c], 7);
  };
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 0; i < 4; ++i) quarter(i, 4 + i, 8 + i, 12 + i);
    for (std::size_t i = 0; i < 4; ++i) quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
  }
  std::array<std::uint8_t, 64> out{};
  for (std::size_t i = 0; i < 64; ++i) {
    out[i] = static_cast<std::uint8_t>((x[i / 4] + start[i / 4]) >> (8 * (i % 4)));
  }
  return out;
}

void chacha_xor(ByteView key, std::uint64_t counter, std::uint32_t sequence, MutableBytes bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= chacha_block(key, counter + i / 64, sequence)[i % 64];
  }
}

/// RFC 8439 section 2.5, with big numbers.
std::array<std::uint8_t, 16> poly1305(ByteView key, ByteView message) {
  BN_CTX* const context = BN_CTX_new();
  Bytes clamped = copy_of(key.first(16));
  for (const std::size_t i : {3, 7, 11, 15}) clamped[i] &= 15;
  for (const std::size_t i : {4, 8, 12}) clamped[i] &= 252;
  BIGNUM* const r = BN_lebin2bn(clamped.data(), 16, nullptr);
  BIGNUM* const s = BN_lebin2bn(key.data() + 16, 16, nullptr);
  BIGNUM* const p = BN_new();
  BIGNUM* const sum = BN_new();
  BN_zero(sum);
  BN_set_bit(p, 130);
  BN_sub_word(p, 5);
  for (std::size_t i = 0; i < message.size(); i += 16) {
    Bytes block = copy_of(message.subspan(i, std::min<std::size_t>(16, message.size() - i)));
    block.push_back(1);
    BIGNUM* const n = BN_lebin2bn(block.data(), static_cast<int>(block.size()), nullptr);
    BN_add(sum, sum, n);
    BN_mod_mul(sum, sum, r, p, context);
    BN_free(n);
  }
  BN_add(sum, sum, s);
  BN_mask_bits(sum, 128);
  std::array<std::uint8_t, 16> tag{};
  BN_bn2lebinpad(sum, tag.data(), 16);
  for (BIGNUM* const number : {r, s, p, sum}) BN_free(number);
  BN_CTX_free(context);
  return tag;
}

TEST(ChaCha20Poly1305, ReferenceReproducesTheVectorsOfRfc8439) {
  Bytes key(32);
  for (std::size_t i = 0; i < 32; ++i) key[i] = static_cast<std::uint8_t>(i);
  // Section A.1, test vector 1: all zero.
  const auto block = chacha_block(Bytes(32), 0, 0);
  EXPECT_EQ(block[0], 0x76);
  EXPECT_EQ(block[1], 0xb8);
  EXPECT_EQ(block[63], 0x86);
  // Section 2.5.2.
  const Bytes one_time = {0x85, 0xd6, 0xbe, 0x78, 0x57, 0x55, 0x6d, 0x33, 0x7f, 0x44, 0x52,
                          0xfe, 0x42, 0xd5, 0x06, 0xa8, 0x01, 0x03, 0x80, 0x8a, 0xfb, 0x0d,
                          0xb2, 0xfd, 0x4a, 0xbf, 0xf6, 0xaf, 0x41, 0x49, 0xf5, 0x1b};
  const std::array<std::uint8_t, 16> tag = {0xa8, 0x06, 0x1d, 0xc1, 0x30, 0x51, 0x36, 0xc6,
                                            0xc2, 0x2b, 0x8b, 0xaf, 0x0c, 0x01, 0x27, 0xa9};
  EXPECT_EQ(poly1305(one_time, as_bytes("Cryptographic Forum Research Group")), tag);
}

TEST(ChaCha20Poly1305, IsOpensshsConstruction) {
  RepeatableRandom random(1);
  const Bytes key = random.bytes(64);
  const ByteView main_key = ByteView(key).first(32);
  const ByteView length_key = ByteView(key).last(32);
  const auto sealer = make_chacha20_poly1305_sealer(key);
  const auto opener = make_chacha20_poly1305_opener(key);
  for (const std::uint32_t sequence : {0U, 1U, 255U, 0x01020304U, 0xffffffffU}) {
    for (const std::size_t size : {8U, 16U, 56U, 64U, 72U, 128U, 1000U}) {
      Bytes plain = random.bytes(4 + size);
      store_u32(plain.data(), static_cast<std::uint32_t>(size));

      Bytes expected = plain;
      chacha_xor(length_key, 0, sequence, MutableBytes(expected).first(4));
      chacha_xor(main_key, 1, sequence, MutableBytes(expected).subspan(4));
      const auto one_time = chacha_block(main_key, 0, sequence);
      const auto tag = poly1305(ByteView(one_time).first(32), expected);
      expected.insert(expected.end(), tag.begin(), tag.end());

      Bytes sealed(plain.size() + 16);
      const std::array<ByteView, 1> parts = {plain};
      sealer->seal(sequence, parts, sealed);
      EXPECT_EQ(sealed, expected);
      EXPECT_EQ(opener->length(sequence, MutableBytes(sealed).first(4)), size);
      ASSERT_TRUE(opener->open(sequence, sealed).has_value());
      EXPECT_TRUE(std::ranges::equal(plain, ByteView(sealed).first(plain.size())));
    }
  }
}

TEST(ChaCha20Poly1305, NothingIsDecryptedBeforeTheTagIsVerified) {
  RepeatableRandom random(2);
  const Bytes key = random.bytes(64);
  const Bytes forged = random.bytes(4 + 64 + 16);
  Bytes packet = forged;
  EXPECT_FALSE(make_chacha20_poly1305_opener(key)->open(0, packet).has_value());
  EXPECT_EQ(packet, forged);
}

}  // namespace
}  // namespace culvert::crypto

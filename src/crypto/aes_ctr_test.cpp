// SPDX-License-Identifier: Apache-2.0
#include "crypto/aes_ctr.hpp"

#include <gtest/gtest.h>

#include "base/wire.hpp"
#include "crypto/random_test.hpp"

namespace culvert::crypto {
namespace {

Bytes from_hex(std::string_view digits) {
  Bytes bytes;
  const auto value = [](char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); };
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(value(digits[i]) << 4 | value(digits[i + 1])));
  }
  return bytes;
}

/// NIST SP 800-38A, appendix F.5.
struct Vector {
  std::string_view key;
  std::string_view ciphertext;
};
constexpr std::string_view kCounter = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
constexpr std::string_view kPlain =
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
constexpr std::array<Vector, 3> kVectors = {{
    {"2b7e151628aed2a6abf7158809cf4f3c",
     "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
     "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee"},
    {"8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
     "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94"
     "1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050"},
    {"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
     "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
     "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6"},
}};

Bytes seal(Sealer& sealer, std::uint32_t sequence, ByteView plain) {
  Bytes sealed(plain.size() + sealer.tag_size());
  const std::array<ByteView, 1> parts = {plain};
  sealer.seal(sequence, parts, sealed);
  return sealed;
}

Bytes mac_input(std::uint32_t sequence, ByteView packet) {
  Bytes input(4);
  store_u32(input.data(), sequence);
  input.insert(input.end(), packet.begin(), packet.end());
  return input;
}

TEST(AesCtr, VectorsOfSp80038aWithAPlainMac) {
  RepeatableRandom random(1);
  const MacInfo* const mac = find_mac("hmac-sha2-256");
  for (const Vector& vector : kVectors) {
    const Bytes mac_key = random.bytes(mac->key_size);
    const auto sealer = make_aes_ctr_sealer(mac, from_hex(vector.key), from_hex(kCounter), mac_key);
    // All of the packet is encrypted, and the key stream runs on through the packets.
    const Bytes plain = from_hex(kPlain);
    Bytes all;
    for (std::uint32_t sequence = 0; sequence < 2; ++sequence) {
      const ByteView packet = ByteView(plain).subspan(sequence * 32, 32);
      const Bytes sealed = seal(*sealer, sequence, packet);
      all.insert(all.end(), sealed.begin(), sealed.begin() + 32);
      EXPECT_TRUE(std::ranges::equal(hmac(mac->hash, mac_key, mac_input(sequence, packet)),
                                     ByteView(sealed).last(32)));
    }
    EXPECT_EQ(all, from_hex(vector.ciphertext));
  }
}

TEST(AesCtr, VectorsOfSp80038aWithEncryptThenMac) {
  RepeatableRandom random(2);
  const MacInfo* const mac = find_mac("hmac-sha2-512-etm@openssh.com");
  for (const Vector& vector : kVectors) {
    const Bytes mac_key = random.bytes(mac->key_size);
    const auto sealer = make_aes_ctr_sealer(mac, from_hex(vector.key), from_hex(kCounter), mac_key);
    Bytes plain = {0, 0, 0, 64};
    const Bytes text = from_hex(kPlain);
    plain.insert(plain.end(), text.begin(), text.end());
    const Bytes sealed = seal(*sealer, 9, plain);
    EXPECT_TRUE(std::ranges::equal(ByteView(sealed).first(4), ByteView(plain).first(4)));
    EXPECT_EQ(copy_of(ByteView(sealed).subspan(4, 64)), from_hex(vector.ciphertext));
    EXPECT_TRUE(std::ranges::equal(hmac(mac->hash, mac_key, mac_input(9, ByteView(sealed).first(68))),
                                   ByteView(sealed).last(64)));
  }
}

TEST(AesCtr, EncryptThenMacDecryptsNothingBeforeTheTagIsVerified) {
  RepeatableRandom random(3);
  const MacInfo* const mac = find_mac("hmac-sha2-256-etm@openssh.com");
  const auto opener = make_aes_ctr_opener(mac, random.bytes(16), random.bytes(16), random.bytes(32));
  const Bytes forged = random.bytes(4 + 64 + 32);
  Bytes packet = forged;
  EXPECT_FALSE(opener->open(0, packet).has_value());
  EXPECT_EQ(packet, forged);
}

}  // namespace
}  // namespace culvert::crypto

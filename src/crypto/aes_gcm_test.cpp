// SPDX-License-Identifier: Apache-2.0
#include "crypto/aes_gcm.hpp"

#include <cstddef>
#include <fstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "base/wire.hpp"
#include "crypto/aes_gcm_engines.hpp"
#include "crypto/random_test.hpp"
#include "crypto/wycheproof_test.hpp"

namespace culvert::crypto {
namespace {

class EveryGcmEngine : public testing::TestWithParam<AesGcmEngine> {
  void SetUp() override {
    if (!is_available(GetParam())) GTEST_SKIP() << "this engine is not built in, or does not run on this CPU";
  }
};

INSTANTIATE_TEST_SUITE_P(All, EveryGcmEngine, testing::Values(AesGcmEngine::openssl, AesGcmEngine::ipsec_mb),
                         [](const auto& engine) {
                           return engine.param == AesGcmEngine::openssl ? "openssl" : "ipsec_mb";
                         });

TEST_P(EveryGcmEngine, Wycheproof) {
  CULVERT_LOAD_VECTORS(vectors, "aes_gcm_test.json");
  int checked = 0;
  for (const auto& group : vectors.at("testGroups").as_array()) {
    const auto key_bits = group.at("keySize").as_int64();
    if (group.at("ivSize").as_int64() != 96 || key_bits == 192) continue;
    for (const auto& test : group.at("tests").as_array()) {
      SCOPED_TRACE(test.at("tcId").as_int64());
      const Bytes key = hex_field(test, "key");
      const Bytes iv = hex_field(test, "iv");
      const Bytes aad = hex_field(test, "aad");
      const Bytes message = hex_field(test, "msg");
      const Bytes ciphertext = hex_field(test, "ct");
      const Bytes tag = hex_field(test, "tag");
      const bool valid = verdict(test) == Verdict::valid;

      const auto seal = make_aes_gcm(GetParam(), key, Direction::seal);
      Bytes sealed(message.size());
      Bytes our_tag(tag.size());
      seal->begin(iv, aad);
      if (!message.empty()) seal->update(message, sealed.data());
      seal->tag(our_tag);
      if (valid) EXPECT_EQ(sealed, ciphertext);
      EXPECT_EQ(our_tag == tag, valid);

      const auto open = make_aes_gcm(GetParam(), key, Direction::open);
      Bytes opened(ciphertext.size());
      open->begin(iv, aad);
      if (!ciphertext.empty()) open->update(ciphertext, opened.data());
      EXPECT_EQ(open->tag_fits(tag), valid);
      if (valid) EXPECT_EQ(opened, message);
      ++checked;
    }
  }
  EXPECT_GT(checked, 100);
}

TEST_P(EveryGcmEngine, TheNonceIsACounterOf64BitsThatWraps) {
  RepeatableRandom random(1);
  const Bytes key = random.bytes(16);
  Bytes iv(12, 0xff);
  iv[0] = 1;
  const auto sealer = make_aes_gcm_sealer(GetParam(), key, iv);
  Bytes next = iv;
  std::fill(next.begin() + 4, next.end(), std::uint8_t{0});
  for (const Bytes& nonce : {iv, next}) {
    Bytes packet(4 + 32);
    store_u32(packet.data(), 32);
    Bytes sealed(packet.size() + 16);
    const std::array<ByteView, 1> parts = {packet};
    sealer->seal(0, parts, sealed);

    const auto reference = make_aes_gcm(AesGcmEngine::openssl, key, Direction::seal);
    Bytes expected = packet;
    expected.resize(packet.size() + 16);
    reference->begin(nonce, ByteView(packet).first(4));
    reference->update(ByteView(packet).subspan(4), expected.data() + 4);
    reference->tag(MutableBytes(expected).last(16));
    EXPECT_EQ(sealed, expected);
  }
}

class BothGcmEngines : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(KeySizes, BothGcmEngines, testing::Values(16, 32));

TEST_P(BothGcmEngines, GiveTheSameBytes) {
  if (!is_available(AesGcmEngine::ipsec_mb)) GTEST_SKIP() << "intel-ipsec-mb is not there";
  RepeatableRandom random(2);
  const Bytes key = random.bytes(GetParam());
  const Bytes iv = random.bytes(12);
  const auto one = make_aes_gcm_sealer(AesGcmEngine::openssl, key, iv);
  const auto other = make_aes_gcm_sealer(AesGcmEngine::ipsec_mb, key, iv);
  const auto open_one = make_aes_gcm_opener(AesGcmEngine::openssl, key, iv);
  const auto open_other = make_aes_gcm_opener(AesGcmEngine::ipsec_mb, key, iv);

  std::vector<std::size_t> sizes;
  for (std::size_t size = 16; size <= 4096; ++size) sizes.push_back(size);
  for (int i = 0; i < 8; ++i) {
    sizes.push_back(32'768 + random.below(64));
    sizes.push_back(262'144 + random.below(64));
  }
  const Bytes noise = random.bytes(262'144 + 128);
  for (const std::size_t size : sizes) {
    Bytes plain(noise.begin(), noise.begin() + static_cast<std::ptrdiff_t>(size + 4));
    store_u32(plain.data(), static_cast<std::uint32_t>(size));
    const std::size_t first = 4 + random.below(std::min<std::size_t>(size, 64));
    const std::size_t second = random.below(plain.size() - first + 1);
    const std::array<ByteView, 3> parts = {ByteView(plain).first(first),
                                           ByteView(plain).subspan(first, second),
                                           ByteView(plain).subspan(first + second)};
    Bytes by_one(plain.size() + 16);
    Bytes by_other(plain.size() + 16);
    one->seal(0, parts, by_one);
    other->seal(0, parts, by_other);
    ASSERT_TRUE(by_one == by_other) << size << " bytes, cut after " << first << " and " << second << " more";
    ASSERT_TRUE(open_one->open(0, by_other).has_value());
    ASSERT_TRUE(open_other->open(0, by_one).has_value());
    ASSERT_TRUE(std::ranges::equal(plain, ByteView(by_one).first(plain.size())));
    ASSERT_TRUE(std::ranges::equal(plain, ByteView(by_other).first(plain.size())));
  }
}

// What the kernel has mapped of the code of a library, in KiB.
std::size_t mapped_code_of(std::string_view library) {
  std::ifstream maps("/proc/self/smaps");
  std::size_t sum = 0;
  bool is_it = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('-') < line.find(' ')) is_it = line.contains(library) && line.contains(" r-xp ");
    if (is_it && line.starts_with("Rss:")) sum += std::stoul(line.substr(4));
  }
  return sum;
}

TEST(AesGcm, TheTestsThatIpsecMbMakesAtItsStartLeaveNoCodeMapped) {
  if (!is_available(AesGcmEngine::ipsec_mb)) GTEST_SKIP();
  const Bytes key(16);
  const auto gcm = make_aes_gcm(AesGcmEngine::ipsec_mb, key, Direction::seal);
  EXPECT_LT(mapped_code_of("libIPSec_MB"), 1024U);
}

}  // namespace
}  // namespace culvert::crypto

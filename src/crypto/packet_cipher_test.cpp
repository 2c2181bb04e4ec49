// SPDX-License-Identifier: Apache-2.0
// What holds for every cipher with every MAC.
#include "crypto/packet_cipher.hpp"

#include <gtest/gtest.h>

#include "base/wire.hpp"
#include "crypto/aes_gcm.hpp"
#include "crypto/algorithms.hpp"
#include "crypto/random_test.hpp"

namespace culvert::crypto {
namespace {

/// A row with a MAC, or with an engine of AES-GCM.
struct Case {
  const CipherInfo* cipher;
  const MacInfo* mac;
  std::optional<AesGcmEngine> engine;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const CipherInfo& cipher : ciphers()) {
    if (!cipher.is_aead) {
      for (const MacInfo& mac : macs()) cases.push_back({&cipher, &mac, {}});
    } else if (cipher.name.contains("gcm")) {
      for (const AesGcmEngine engine : {AesGcmEngine::openssl, AesGcmEngine::ipsec_mb}) {
        if (is_available(engine)) cases.push_back({&cipher, nullptr, engine});
      }
    } else {
      cases.push_back({&cipher, nullptr, {}});
    }
  }
  return cases;
}

std::string name_of(const Case& c) {
  std::string name(c.cipher->name);
  if (c.mac != nullptr) name += c.mac->name;
  if (c.engine) name += *c.engine == AesGcmEngine::openssl ? "openssl" : "ipsecmb";
  std::erase_if(name, [](char x) { return !std::isalnum(static_cast<unsigned char>(x)); });
  return name;
}

struct Ends {
  std::unique_ptr<Sealer> sealer;
  std::unique_ptr<Opener> opener;
};

Ends make_ends(const Case& c, std::uint32_t seed = 1) {
  RepeatableRandom random(seed);
  const Bytes key = random.bytes(c.cipher->key_size);
  const Bytes iv = random.bytes(c.cipher->iv_size);
  const Bytes mac_key = random.bytes(c.mac != nullptr ? c.mac->key_size : 0);
  if (c.engine) return {make_aes_gcm_sealer(*c.engine, key, iv), make_aes_gcm_opener(*c.engine, key, iv)};
  return {c.cipher->make_sealer(c.mac, key, iv, mac_key), c.cipher->make_opener(c.mac, key, iv, mac_key)};
}

/// packet_length and `size` random bytes behind it.
Bytes plain_packet(Random& random, std::size_t size) {
  Bytes packet(4 + size);
  random.fill(packet);
  store_u32(packet.data(), static_cast<std::uint32_t>(size));
  return packet;
}

Bytes seal_whole(Sealer& sealer, std::uint32_t sequence, ByteView plain) {
  Bytes sealed(plain.size() + sealer.tag_size());
  const std::array parts = {plain};
  sealer.seal(sequence, parts, sealed);
  return sealed;
}

Result<void> open_whole(Opener& opener, std::uint32_t sequence, Bytes& packet) {
  static_cast<void>(opener.length(sequence, MutableBytes(packet).first(opener.head_size())));
  return opener.open(sequence, packet);
}

/// The sizes of packet_length that a packet can have: whole blocks, with or without the length.
std::vector<std::size_t> sizes_for(const Sealer& sealer) {
  std::vector<std::size_t> sizes;
  const std::size_t block = sealer.block_size();
  const std::size_t apart = sealer.length_is_apart() ? 0 : 4;
  for (std::size_t total = 16; total <= 1024; total += block) sizes.push_back(total - apart);
  for (const std::size_t total : {4096, 32'768, 262'144}) sizes.push_back(total - apart);
  return sizes;
}

class EveryCipher : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Rows, EveryCipher, testing::ValuesIn(all_cases()),
                         [](const auto& row) { return name_of(row.param); });

TEST_P(EveryCipher, SizesAreThoseOfTheTable) {
  const Ends ends = make_ends(GetParam());
  EXPECT_EQ(ends.sealer->block_size(), GetParam().cipher->block_size);
  EXPECT_EQ(ends.opener->block_size(), GetParam().cipher->block_size);
  EXPECT_EQ(ends.sealer->tag_size(), ends.opener->tag_size());
  EXPECT_EQ(ends.sealer->tag_size(), GetParam().mac != nullptr ? GetParam().mac->tag_size : 16U);
  const bool apart = GetParam().cipher->is_aead || GetParam().mac->encrypt_then_mac;
  EXPECT_EQ(ends.sealer->length_is_apart(), apart);
  EXPECT_EQ(ends.opener->length_is_apart(), apart);
  EXPECT_EQ(ends.opener->head_size(), apart ? 4U : 16U);
}

TEST_P(EveryCipher, RoundTripOfEverySize) {
  const Ends ends = make_ends(GetParam());
  RepeatableRandom random(2);
  std::uint32_t sequence = 0xffffffb0;  // and past its end
  for (const std::size_t size : sizes_for(*ends.sealer)) {
    const Bytes plain = plain_packet(random, size);
    Bytes packet = seal_whole(*ends.sealer, sequence, plain);
    EXPECT_FALSE(std::ranges::equal(ByteView(packet).subspan(4, size), ByteView(plain).subspan(4)));
    ASSERT_EQ(ends.opener->length(sequence, MutableBytes(packet).first(ends.opener->head_size())), size);
    ASSERT_TRUE(ends.opener->open(sequence, packet).has_value());
    ASSERT_TRUE(std::ranges::equal(plain, ByteView(packet).first(plain.size())));
    ++sequence;
  }
}

TEST_P(EveryCipher, PartsMayBeCutAnywhereAndLieInPlace) {
  const Ends whole = make_ends(GetParam());
  const Ends in_parts = make_ends(GetParam());
  RepeatableRandom random(3);
  for (std::uint32_t sequence = 0; sequence < 200; ++sequence) {
    const std::size_t block = whole.sealer->block_size();
    const std::size_t apart = whole.sealer->length_is_apart() ? 0 : 4;
    const Bytes plain = plain_packet(random, block * (2 + random.below(40)) - apart);
    const Bytes expected = seal_whole(*whole.sealer, sequence, plain);

    std::array<std::size_t, 5> cuts = {0, 4 + random.below(plain.size() - 3),
                                       4 + random.below(plain.size() - 3), 4 + random.below(plain.size() - 3),
                                       plain.size()};
    std::ranges::sort(cuts);
    Bytes sealed(expected.size(), 0xee);
    std::array<Bytes, kMaxSealParts> copies;
    std::array<ByteView, kMaxSealParts> parts;
    for (std::size_t i = 0; i < kMaxSealParts; ++i) {
      const ByteView part = ByteView(plain).subspan(cuts[i], cuts[i + 1] - cuts[i]);
      if (random.below(2) == 0) {
        copies[i] = copy_of(part);
        parts[i] = copies[i];
      } else {
        std::ranges::copy(part, sealed.begin() + static_cast<std::ptrdiff_t>(cuts[i]));
        parts[i] = ByteView(sealed).subspan(cuts[i], part.size());
      }
    }
    in_parts.sealer->seal(sequence, parts, sealed);
    ASSERT_EQ(sealed, expected) << cuts[1] << ' ' << cuts[2] << ' ' << cuts[3] << " of " << plain.size();
  }
}

TEST_P(EveryCipher, EveryChangedBitIsRefused) {
  const bool apart = make_ends(GetParam()).sealer->length_is_apart();
  RepeatableRandom random(4);
  const Bytes plain = plain_packet(random, apart ? 32 : 28);
  const Bytes sealed = seal_whole(*make_ends(GetParam()).sealer, 5, plain);
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    Bytes changed = sealed;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    const auto result = open_whole(*make_ends(GetParam()).opener, 5, changed);
    ASSERT_FALSE(result.has_value()) << "bit " << bit;
    EXPECT_EQ(result.error().code, Errc::verification);
  }
  Bytes unchanged = sealed;
  EXPECT_TRUE(open_whole(*make_ends(GetParam()).opener, 5, unchanged).has_value());
}

TEST_P(EveryCipher, PacketsOutOfOrderAreRefused) {
  const Ends ends = make_ends(GetParam());
  RepeatableRandom random(5);
  const Bytes plain = plain_packet(random, ends.sealer->length_is_apart() ? 64 : 60);
  const Bytes first = seal_whole(*ends.sealer, 0, plain);
  const Bytes second = seal_whole(*ends.sealer, 1, plain);
  EXPECT_NE(first, second);
  {
    Bytes packet = second;  // dropped
    EXPECT_FALSE(open_whole(*make_ends(GetParam()).opener, 0, packet).has_value());
  }
  {
    Bytes packet = first;  // repeated
    Bytes again = first;
    const Ends other = make_ends(GetParam());
    EXPECT_TRUE(open_whole(*other.opener, 0, packet).has_value());
    EXPECT_FALSE(open_whole(*other.opener, 1, again).has_value());
  }
}

TEST_P(EveryCipher, WrongSequenceNumberIsRefused) {
  const Ends ends = make_ends(GetParam());
  RepeatableRandom random(6);
  Bytes packet = seal_whole(*ends.sealer, 7, plain_packet(random, ends.sealer->length_is_apart() ? 64 : 60));
  const bool counts_by_itself = GetParam().cipher->name.contains("gcm");
  EXPECT_EQ(open_whole(*ends.opener, 8, packet).has_value(), counts_by_itself);
}

TEST_P(EveryCipher, AnotherKeyIsRefused) {
  RepeatableRandom random(7);
  const Ends ends = make_ends(GetParam(), 1);
  Bytes packet = seal_whole(*ends.sealer, 0, plain_packet(random, ends.sealer->length_is_apart() ? 64 : 60));
  EXPECT_FALSE(open_whole(*make_ends(GetParam(), 2).opener, 0, packet).has_value());
}

TEST_P(EveryCipher, APacketTooShortForItsTagIsRefused) {
  for (std::size_t size = 0; size < 16 + 16; ++size) {
    const Ends ends = make_ends(GetParam());
    Bytes packet(std::max(size, ends.opener->head_size()));
    static_cast<void>(ends.opener->length(0, MutableBytes(packet).first(ends.opener->head_size())));
    EXPECT_FALSE(ends.opener->open(0, MutableBytes(packet).first(size)).has_value());
  }
}

TEST(PlainCipher, CopiesAndReadsTheLength) {
  RepeatableRandom random(8);
  const auto sealer = make_plain_sealer();
  const auto opener = make_plain_opener();
  const Bytes plain = plain_packet(random, 44);
  Bytes packet = seal_whole(*sealer, 0, plain);
  EXPECT_EQ(packet, plain);
  EXPECT_EQ(sealer->block_size(), 8U);
  EXPECT_FALSE(sealer->length_is_apart());
  EXPECT_EQ(opener->length(0, MutableBytes(packet).first(opener->head_size())), 44U);
  EXPECT_TRUE(opener->open(0, packet).has_value());
  EXPECT_EQ(packet, plain);
}

}  // namespace
}  // namespace culvert::crypto

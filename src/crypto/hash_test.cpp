// SPDX-License-Identifier: Apache-2.0
#include "crypto/hash.hpp"

#include <gtest/gtest.h>

#include "crypto/packet_mac.hpp"
#include "crypto/random_test.hpp"
#include "crypto/wycheproof_test.hpp"

namespace culvert::crypto {
namespace {

struct Known {
  HashId id;
  std::string_view digest;  // of "abc"
};

std::string hex(ByteView bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

// FIPS 180-4's examples.
constexpr std::array<Known, 4> kKnown = {{
    {HashId::sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {HashId::sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {HashId::sha384,
     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"},
    {HashId::sha512,
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d442"
     "3643ce80e"
     "2a9ac94fa54ca49f"},
}};

TEST(Hash, KnownDigests) {
  for (const Known& known : kKnown) {
    EXPECT_EQ(hex(hash(known.id, as_bytes("abc"))), known.digest);
    EXPECT_EQ(hex(Hasher(known.id).update(as_bytes("a")).update({}).update(as_bytes("bc")).finish()),
              known.digest);
    EXPECT_EQ(hash_size(known.id) * 2, known.digest.size());
  }
  EXPECT_EQ(hex(hash(HashId::sha256, {})),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Hash, HmacWithAnEmptyKey) {
  EXPECT_EQ(hex(hmac(HashId::sha256, {}, {})),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

void check_hmac(HashId id, const boost::json::value& vectors) {
  int checked = 0;
  for (const auto& group : vectors.at("testGroups").as_array()) {
    for (const auto& test : group.at("tests").as_array()) {
      const Bytes tag = hex_field(test, "tag");
      const Bytes ours = hmac(id, hex_field(test, "key"), hex_field(test, "msg"));
      ASSERT_LE(tag.size(), ours.size());
      const bool same = std::ranges::equal(tag, ByteView(ours).first(tag.size()));
      EXPECT_EQ(same, verdict(test) == Verdict::valid) << test;
      ++checked;
    }
  }
  EXPECT_EQ(checked, vectors.at("numberOfTests").as_int64());
}

TEST(Hash, WycheproofHmacSha256) {
  CULVERT_LOAD_VECTORS(vectors, "hmac_sha256_test.json");
  check_hmac(HashId::sha256, vectors);
}

TEST(Hash, WycheproofHmacSha512) {
  CULVERT_LOAD_VECTORS(vectors, "hmac_sha512_test.json");
  check_hmac(HashId::sha512, vectors);
}

TEST(PacketMac, IsTheHmacOfSequenceAndPacketForEveryPacket) {
  RepeatableRandom random(1);
  for (const MacInfo& info : macs()) {
    const Bytes key = random.bytes(info.key_size);
    PacketMac mac(info, key);
    for (std::uint32_t sequence : {0U, 1U, 0x01020304U, 0xffffffffU}) {
      const Bytes packet = random.bytes(random.below(300));
      Bytes message = {static_cast<std::uint8_t>(sequence >> 24), static_cast<std::uint8_t>(sequence >> 16),
                       static_cast<std::uint8_t>(sequence >> 8), static_cast<std::uint8_t>(sequence)};
      message.insert(message.end(), packet.begin(), packet.end());
      Bytes tag(info.tag_size);
      mac.begin(sequence);
      mac.update(ByteView(packet).first(packet.size() / 3));
      mac.update(ByteView(packet).subspan(packet.size() / 3));
      mac.finish(tag);
      EXPECT_EQ(tag, hmac(info.hash, key, message));
    }
  }
}

}  // namespace
}  // namespace culvert::crypto

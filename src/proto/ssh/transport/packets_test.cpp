// SPDX-License-Identifier: Apache-2.0
// PacketWriter and PacketReader against each other, and the reader against what no writer makes.
#include <gtest/gtest.h>

#include <utility>

#include "base/wire.hpp"
#include "crypto/algorithms.hpp"
#include "proto/ssh/transport/packet_reader.hpp"
#include "proto/ssh/transport/packet_writer.hpp"
#include "tests/support/seeded_random.hpp"

namespace culvert::ssh {
namespace {

void put(PacketReader& reader, ByteView bytes) {
  const MutableBytes room = reader.prepare(std::max<std::size_t>(bytes.size(), 1));
  std::copy(bytes.begin(), bytes.end(), room.begin());
  reader.commit(bytes.size());
}

// A packet under "none", with any lengths that its maker likes.
Bytes plain_packet(std::uint32_t length, std::uint8_t padding, std::size_t body) {
  Bytes packet;
  Writer(packet).u32(length).byte(padding);
  packet.resize(5 + body, 0x5A);
  return packet;
}

Error refused(ByteView packet, std::uint32_t max_packet_length = kMaxPacketLengthBeforeLogin) {
  PacketReader reader;
  reader.set_max_packet_length(max_packet_length);
  put(reader, packet);
  const auto payload = reader.next_packet();
  EXPECT_FALSE(payload) << "accepted";
  return payload ? Error{Errc::usage, "accepted"} : payload.error();
}

struct Protection {
  const crypto::CipherInfo* cipher;
  const crypto::MacInfo* mac;
  Bytes key, iv, mac_key;

  [[nodiscard]] std::unique_ptr<crypto::Sealer> sealer() const {
    return cipher->make_sealer(mac, key, iv, mac_key);
  }
  [[nodiscard]] std::unique_ptr<crypto::Opener> opener() const {
    return cipher->make_opener(mac, key, iv, mac_key);
  }
  [[nodiscard]] std::string name() const {
    return std::string(cipher->name) + (mac == nullptr ? "" : " " + std::string(mac->name));
  }
};

std::vector<Protection> all_protections() {
  test::SeededRandom random(3);
  std::vector<Protection> all;
  const auto add = [&](const crypto::CipherInfo& cipher, const crypto::MacInfo* mac) {
    Protection p{&cipher, mac, Bytes(cipher.key_size), Bytes(cipher.iv_size),
                 Bytes(mac == nullptr ? 0 : mac->key_size)};
    random.fill(p.key), random.fill(p.iv), random.fill(p.mac_key);
    all.push_back(std::move(p));
  };
  for (const auto& cipher : crypto::ciphers()) {
    if (cipher.is_aead) add(cipher, nullptr);
    for (const auto& mac : crypto::macs()) {
      if (!cipher.is_aead) add(cipher, &mac);
    }
  }
  return all;
}

TEST(Packets, WhatIsWrittenIsRead) {
  for (const Protection& protection : all_protections()) {
    SCOPED_TRACE(protection.name());
    test::SeededRandom random(1);
    PacketWriter writer(random);
    PacketReader reader;
    reader.set_max_packet_length(kMaxPacketLength);
    std::vector<Bytes> payloads;
    for (std::size_t size = 1; size < 70; ++size)
      payloads.emplace_back(size, static_cast<std::uint8_t>(size));
    for (const std::size_t size : {1000u, 32768u, 32777u, 262144u}) payloads.emplace_back(size, 0x77);

    writer.write(payloads[0]);
    writer.use(protection.sealer(), false);
    for (std::size_t i = 1; i < payloads.size(); ++i) {
      const std::size_t head = i % 3 == 0 ? payloads[i].size() : 1;  // head and body are one payload
      const std::size_t before = writer.pending();
      writer.write(ByteView(payloads[i]).first(head), ByteView(payloads[i]).subspan(head));
      EXPECT_LE(writer.pending() - before, payloads[i].size() + writer.overhead());
    }
    EXPECT_EQ(writer.packets_under_key(), payloads.size() - 1);

    const Bytes wire = copy_of(writer.output());
    std::size_t fed = 0;
    std::size_t piece = 1;
    for (std::size_t i = 0; i < payloads.size(); ++i) {
      for (;;) {
        const auto payload = reader.next_packet();
        ASSERT_TRUE(payload) << payload.error().message;
        if (*payload) {
          ASSERT_EQ(copy_of(**payload), payloads[i]);
          EXPECT_EQ(reader.last_sequence(), i);
          break;
        }
        ASSERT_LT(fed, wire.size());
        const std::size_t size = std::min(piece, wire.size() - fed);
        piece = piece % 40000 + 1 + piece / 2;  // all kinds of pieces
        put(reader, ByteView(wire).subspan(fed, size));
        fed += size;
      }
      if (i == 0) reader.use(protection.opener(), false);
    }
    EXPECT_EQ(reader.bytes_under_key(), writer.bytes_under_key());
  }
}

TEST(Packets, PaddingIsAsTheProtocolWantsIt) {
  for (const Protection& protection : all_protections()) {
    SCOPED_TRACE(protection.name());
    test::SeededRandom random(1);
    for (std::size_t size = 1; size < 60; ++size) {
      PacketWriter writer(random);
      writer.use(protection.sealer(), true);
      writer.write(Bytes(size, 1));
      Bytes wire = copy_of(writer.output());
      const auto opener = protection.opener();
      const std::uint32_t length = opener->length(0, MutableBytes(wire).first(opener->head_size()));
      ASSERT_TRUE(opener->open(0, wire));
      EXPECT_GE(wire[4], 4);  // RFC 4253 section 6
      EXPECT_EQ(length, 1 + size + wire[4]);
      EXPECT_GE(length + 4, std::max<std::size_t>(16, opener->block_size()));
      EXPECT_EQ((length + (opener->length_is_apart() ? 0 : 4)) % opener->block_size(), 0u);
    }
  }
}

TEST(Packets, EveryDamagedByteIsNoticed) {
  for (const Protection& protection : all_protections()) {
    SCOPED_TRACE(protection.name());
    test::SeededRandom random(1);
    PacketWriter writer(random);
    writer.use(protection.sealer(), true);
    writer.write(as_bytes("a payload of some size, but not of many blocks"));
    const Bytes wire = copy_of(writer.output());
    for (std::size_t i = 0; i < wire.size(); ++i) {
      Bytes damaged = wire;
      damaged[i] ^= 0x01;
      PacketReader reader;
      reader.use(protection.opener(), true);
      put(reader, damaged);
      const auto payload = reader.next_packet();
      EXPECT_TRUE(!payload || !*payload)
          << "byte " << i;  // a length may ask for more, and then find nonsense
      if (payload) put(reader, Bytes(kMaxPacketLengthBeforeLogin));
      if (payload) EXPECT_FALSE(reader.next_packet()) << "byte " << i;
    }
    PacketReader other;  // the right bytes under the wrong sequence number, where the number protects
    other.use(protection.opener(), true);
    put(other, wire);
    put(other, wire);
    EXPECT_TRUE(other.next_packet().has_value());
    const auto replayed = other.next_packet();
    ASSERT_FALSE(replayed);
    EXPECT_TRUE(replayed.error().code == Errc::protocol);
  }
}

TEST(Packets, WrongTagIsAMacError) {
  const Protection gcm = all_protections()[0];
  test::SeededRandom random(1);
  PacketWriter writer(random);
  writer.use(gcm.sealer(), true);
  writer.write(as_bytes("payload"));
  Bytes wire = copy_of(writer.output());
  wire.back() ^= 0x80;
  PacketReader reader;
  reader.use(gcm.opener(), true);
  put(reader, wire);
  const auto payload = reader.next_packet();
  ASSERT_FALSE(payload);
  EXPECT_TRUE(payload.error().code == Errc::protocol);
  EXPECT_EQ(payload.error().detail, 5);  // SSH_DISCONNECT_MAC_ERROR
}

TEST(Packets, BadLengths) {
  EXPECT_TRUE(refused(plain_packet(0, 4, 100)).code == Errc::protocol);
  EXPECT_TRUE(refused(plain_packet(4, 3, 100)).code == Errc::protocol);   // no room for padding and a payload
  EXPECT_TRUE(refused(plain_packet(13, 4, 100)).code == Errc::protocol);  // no multiple of 8
  EXPECT_TRUE(refused(plain_packet(0xFFFFFFFC, 4, 100)).code == Errc::protocol);
  EXPECT_TRUE(refused(plain_packet(0x7FFFFFFC, 4, 100)).code == Errc::protocol);
  EXPECT_NE(refused(plain_packet(0x48545450, 0x2F, 100)).message.find("bad packet length"),
            std::string::npos);  // HTTP
}

TEST(Packets, BadPadding) {
  EXPECT_NE(refused(plain_packet(12, 3, 11)).message.find("padding"), std::string::npos);   // less than 4
  EXPECT_NE(refused(plain_packet(12, 11, 11)).message.find("padding"), std::string::npos);  // no payload left
  EXPECT_NE(refused(plain_packet(12, 12, 11)).message.find("padding"), std::string::npos);
  EXPECT_NE(refused(plain_packet(12, 255, 11)).message.find("padding"), std::string::npos);
  PacketReader reader;
  put(reader, plain_packet(12, 10, 11));
  const auto payload = reader.next_packet();
  ASSERT_TRUE(payload && *payload);
  EXPECT_EQ((*payload)->size(), 1u);
}

TEST(Packets, LargestLength) {
  const auto largest = [](std::uint32_t max) { return (max + 4) / 8 * 8 - 4; };
  for (const std::uint32_t max : {kMaxPacketLengthBeforeLogin, kMaxPacketLength}) {
    PacketReader reader;
    reader.set_max_packet_length(max);
    put(reader, plain_packet(largest(max), 4, largest(max) - 1));
    const auto payload = reader.next_packet();
    ASSERT_TRUE(payload && *payload);
    EXPECT_EQ((*payload)->size(), largest(max) - 5);
    EXPECT_TRUE(refused(plain_packet(largest(max) + 8, 4, 0), max).code == Errc::protocol);
  }
}

// A length that asks for more is not believed any further than that: nothing is set aside for it.
TEST(Packets, AnnouncedBytesAreNotKeptRoomFor) {
  PacketReader reader;
  put(reader, plain_packet(kMaxPacketLengthBeforeLogin - 4, 4, 0));
  const auto payload = reader.next_packet();
  ASSERT_TRUE(payload);
  EXPECT_FALSE(*payload);
}

TEST(ByteQueue, KeepsContentThroughEveryMove) {
  ByteQueue queue;
  std::uint8_t next_in = 0, next_out = 0;
  std::size_t size = 1;
  for (int i = 0; i < 3000; ++i) {
    size = (size * 31 + 7) % 5000 + 1;
    const MutableBytes room = queue.room(size);
    ASSERT_GE(room.size(), size);
    for (std::size_t k = 0; k < size; ++k) room[k] = next_in++;
    queue.commit(size);
    const std::size_t out = std::min(queue.size(), (size * 17) % 5300);
    for (std::size_t k = 0; k < out; ++k) ASSERT_EQ(queue.view()[k], next_out++);
    queue.consume(out);
  }
  queue.consume(queue.size());
  EXPECT_GE(queue.room(10).size(), 10u);
}

// A reader that is always a little behind: fresh memory costs more than all else that is done with a packet.
TEST(ByteQueue, StaysInItsMemoryWhileItIsNeverEmpty) {
  ByteQueue queue;
  const std::uint8_t* end = nullptr;
  int moves = 0;
  for (int i = 0; i < 10000; ++i) {
    const MutableBytes room = queue.room(1000);
    if (std::exchange(end, room.data() + room.size()) != room.data() + room.size()) ++moves;
    queue.commit(1000);
    if (i >= 70) queue.consume(1000);
  }
  EXPECT_LE(moves, 8);
  EXPECT_LE(queue.capacity(), 262'144u);
}

TEST(ByteQueue, StaysSmallWhileItIsDrained) {
  ByteQueue queue;
  for (int i = 0; i < 10000; ++i) {
    (void)queue.room(1000);
    queue.commit(1000);
    queue.consume(i == 0 ? 900 : 1000);
  }
  EXPECT_LE(queue.capacity(), 8192u);
}

}  // namespace
}  // namespace culvert::ssh

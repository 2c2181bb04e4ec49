// SPDX-License-Identifier: Apache-2.0
// Packets (RFC 4253 section 6) under every kind of protection. Input: protection, size of the pieces, place
// of the flipped bit, padding length of the ill-made packet, then bytes: once as they are from a hostile
// peer, and once as payloads.
#include <iterator>
#include <optional>
#include <vector>

#include "base/wire.hpp"
#include "crypto/algorithms.hpp"
#include "proto/ssh/transport/packet_reader.hpp"
#include "proto/ssh/transport/packet_writer.hpp"
#include "tests/support/fuzz_input.hpp"
#include "tests/support/seeded_random.hpp"

using namespace culvert;
using test::require;

namespace {

struct Protection {
  const crypto::CipherInfo* cipher;  // null: none
  const crypto::MacInfo* mac;
  Bytes key, iv, mac_key;

  [[nodiscard]] std::unique_ptr<crypto::Sealer> sealer() const {
    return cipher == nullptr ? crypto::make_plain_sealer() : cipher->make_sealer(mac, key, iv, mac_key);
  }
  [[nodiscard]] std::unique_ptr<crypto::Opener> opener() const {
    return cipher == nullptr ? crypto::make_plain_opener() : cipher->make_opener(mac, key, iv, mac_key);
  }
};

std::vector<Protection> all_protections() {
  test::SeededRandom random(3);
  std::vector<Protection> all = {{nullptr, nullptr, {}, {}, {}}};
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

struct Outcome {
  std::vector<Bytes> payloads;
  bool failed = false;
  bool operator==(const Outcome&) const = default;
};

Outcome read(const Protection& protection, ByteView wire, std::size_t piece) {
  ssh::PacketReader reader;
  reader.use(protection.opener(), true);
  reader.set_max_packet_length(ssh::kMaxPacketLength);
  Outcome outcome;
  while (!wire.empty()) {
    const ByteView came = wire.first(std::min(piece, wire.size()));
    wire = wire.subspan(came.size());
    std::ranges::copy(came, reader.prepare(came.size()).begin());
    reader.commit(came.size());
    for (;;) {
      const auto payload = reader.next_packet();
      if (!payload) {
        outcome.failed = true;
        return outcome;
      }
      if (!*payload) break;
      require(!(*payload)->empty(), "a payload has a message number");
      outcome.payloads.push_back(copy_of(**payload));
    }
  }
  return outcome;
}

// From a peer that has the keys but does not know how to pad.
void ill_made(const Protection& protection, std::uint8_t padding, ByteView body) {
  const auto sealer = protection.sealer();
  Bytes packet;
  const std::size_t size = sealer->block_size() * (2 + body.size() / sealer->block_size());
  const std::size_t counted = size - (sealer->length_is_apart() ? 0 : 4);
  Writer(packet).u32(static_cast<std::uint32_t>(counted)).byte(padding).bytes(body);
  packet.resize(4 + counted);
  Bytes wire(packet.size() + sealer->tag_size());
  const ByteView parts[] = {packet};
  sealer->seal(0, parts, wire);
  const Outcome outcome = read(protection, wire, wire.size());
  const bool fits = padding >= 4 && padding + 1u < counted;
  require(outcome.failed != fits, "padding is from 4 bytes to all but one");
  require(!fits || outcome.payloads.at(0).size() == counted - 1 - padding, "padding is cut off");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<Protection> protections = all_protections();
  test::FuzzInput input(data, size);
  const Protection& protection = protections[input.byte() % protections.size()];
  const std::size_t piece = input.u16() + std::size_t{1};
  const std::size_t flipped_bit = input.u16();
  const std::uint8_t padding = input.byte();
  const ByteView rest = input.rest();

  require(read(protection, rest, piece) == read(protection, rest, SIZE_MAX), "pieces make no difference");
  ill_made(protection, padding, rest);

  Outcome honest;
  std::vector<std::size_t> ends;  // of the packets, on the wire
  test::SeededRandom random(1);
  ssh::PacketWriter writer(random);
  writer.use(protection.sealer(), true);
  for (test::FuzzInput payloads(rest.data(), rest.size()); !payloads.empty();) {
    const std::size_t length = payloads.byte();
    const std::size_t head = payloads.byte();
    const ByteView payload = payloads.bytes(length);
    if (payload.empty()) continue;
    const std::size_t split = std::clamp<std::size_t>(head, 1, payload.size());
    writer.write(payload.first(split), payload.subspan(split));
    honest.payloads.push_back(copy_of(payload));
    ends.push_back(writer.pending());
  }
  Bytes wire = copy_of(writer.output());
  require(read(protection, wire, piece) == honest, "what is written is read");

  if (protection.cipher == nullptr || wire.empty()) return 0;
  const std::size_t place = flipped_bit % (wire.size() * 8);
  wire[place / 8] ^= static_cast<std::uint8_t>(1u << place % 8);
  const auto intact = std::distance(ends.begin(), std::ranges::upper_bound(ends, place / 8));
  honest.payloads.resize(static_cast<std::size_t>(intact));
  require(read(protection, wire, piece).payloads == honest.payloads, "nothing is read from a flipped bit on");
  return 0;
}

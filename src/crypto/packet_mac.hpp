// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: the MAC of a packet, RFC 4253 section 6.4: HMAC(key, sequence number | packet).
#pragma once

#include <array>

#include "base/bytes.hpp"
#include "crypto/algorithms.hpp"
#include "crypto/evp.hpp"

namespace culvert::crypto {

class PacketMac {
 public:
  PacketMac(const MacInfo& mac, ByteView key);

  [[nodiscard]] std::size_t tag_size() const { return tag_size_; }

  /// For each packet: begin, any number of updates, then one of the other two.
  void begin(std::uint32_t sequence);
  void update(ByteView bytes);
  /// `tag`: tag_size() bytes.
  void finish(MutableBytes tag);
  /// Compares in constant time.
  [[nodiscard]] bool finish_and_compare(ByteView tag);

 private:
  MacContext context_;
  std::size_t tag_size_;
};

}  // namespace culvert::crypto

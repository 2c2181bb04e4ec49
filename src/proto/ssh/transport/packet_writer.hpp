// SPDX-License-Identifier: Apache-2.0
// Outbound packets (RFC 4253 section 6), framed and sealed straight into the queue that the socket is written
// from:
//
//     | packet_length | padding_length | payload .......... | padding | tag |   headers, padding and tag are
//     made in place,
//                                        ^ encrypted from the caller's buffer in the same pass
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/bytes.hpp"
#include "crypto/packet_cipher.hpp"
#include "crypto/random.hpp"
#include "proto/ssh/transport/byte_queue.hpp"

namespace culvert::ssh {

class PacketWriter {
 public:
  explicit PacketWriter(crypto::Random& random) : random_(random), sealer_(crypto::make_plain_sealer()) {}

  /// One packet whose payload is `head` and `body`, one after the other (at most 255 KiB together).
  void write(ByteView head, ByteView body = {});
  /// Bytes that are no packet: the identification line.
  void write_raw(ByteView bytes);

  [[nodiscard]] ByteView output() const { return output_.view(); }
  [[nodiscard]] std::size_t pending() const { return output_.size(); }
  void consume_output(std::size_t n) { output_.consume(n); }

  /// Upper bound of what a packet adds to its payload: lengths, padding, tag.
  [[nodiscard]] std::size_t overhead() const;

  /// All further packets are protected by this.
  void use(std::unique_ptr<crypto::Sealer> sealer, bool reset_sequence);

  [[nodiscard]] std::uint64_t bytes_under_key() const { return bytes_under_key_; }
  [[nodiscard]] std::uint32_t packets_under_key() const { return packets_under_key_; }

 private:
  void fill_padding(MutableBytes padding);

  crypto::Random& random_;
  std::unique_ptr<crypto::Sealer> sealer_;
  ByteQueue output_;
  std::uint32_t sequence_ = 0;
  std::uint32_t packets_under_key_ = 0;
  std::uint64_t bytes_under_key_ = 0;
  std::array<std::uint8_t, 1024>
      padding_pool_{};  // random bytes in stock: a call per packet would cost more than the packet
  std::size_t padding_used_ = sizeof padding_pool_;
};

}  // namespace culvert::ssh

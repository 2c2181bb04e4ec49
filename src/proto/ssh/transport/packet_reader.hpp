// SPDX-License-Identifier: Apache-2.0
// Inbound packets (RFC 4253 section 6). The socket reads into the buffer lent by prepare(); packets are
// decrypted in place, and payloads are views into it:
//
//     prepare -> | done | this packet | rest of what came | room |   next_packet() moves along it, prepare()
//     closes the gap
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/packet_cipher.hpp"
#include "proto/ssh/transport/byte_queue.hpp"

namespace culvert::ssh {

/// The largest packet_length we take after login; RFC 4253 asks for 35000, OpenSSH sends up to 256 KiB.
inline constexpr std::uint32_t kMaxPacketLength = 256 * 1024 + 1024;
/// Before login: key exchange and authentication need far less than this.
inline constexpr std::uint32_t kMaxPacketLengthBeforeLogin = 64 * 1024;

class PacketReader {
 public:
  PacketReader() : opener_(crypto::make_plain_opener()) {}

  /// Ends the validity of all views.
  [[nodiscard]] MutableBytes prepare(std::size_t n);
  void commit(std::size_t n) { buffer_.commit(n); }

  /// Bytes that came and are not taken yet; for the identification line, which is no packet.
  [[nodiscard]] ByteView pending() const { return buffer_.view(); }
  void skip(std::size_t n) { buffer_.consume(n); }

  /// The payload of the next whole packet, verified; none if more bytes are needed. Valid until prepare().
  /// Errc::protocol for an impossible length or a wrong tag: nothing can be read after that.
  [[nodiscard]] Result<std::optional<ByteView>> next_packet();

  /// Sequence number of the packet that next_packet() returned last.
  [[nodiscard]] std::uint32_t last_sequence() const { return sequence_ - 1; }

  /// All further packets are protected by this. `reset_sequence`: strict key exchange starts at 0 again.
  void use(std::unique_ptr<crypto::Opener> opener, bool reset_sequence);
  void set_max_packet_length(std::uint32_t bytes) { max_packet_length_ = bytes; }

  [[nodiscard]] std::uint64_t bytes_under_key() const { return bytes_under_key_; }
  [[nodiscard]] std::uint32_t packets_under_key() const { return packets_under_key_; }
  /// The sequence number went round since the connection began (never allowed before the first keys).
  [[nodiscard]] bool wrapped() const { return wrapped_; }

 private:
  ByteQueue buffer_;
  std::unique_ptr<crypto::Opener> opener_;
  std::optional<std::uint32_t> length_;  // of the packet at the front, once its head was read
  std::uint32_t max_packet_length_ = kMaxPacketLengthBeforeLogin;
  std::uint32_t sequence_ = 0;
  std::uint32_t packets_under_key_ = 0;
  std::uint64_t bytes_under_key_ = 0;
  bool wrapped_ = false;
};

}  // namespace culvert::ssh

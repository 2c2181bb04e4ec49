// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.hpp"
#include "proto/proxyproto/header.hpp"

namespace culvert::proxyproto {

/// Reads the header in front of a stream, of either version. It never guesses: what does not begin like a
/// header is malformed at the first byte that differs.
///
/// Of version 2: values behind the addresses are skipped, but their lengths must fit; a checksum (section
/// 2.2.3) must be right. Where there are no addresses, the rest of the header is not looked at: that of LOCAL
/// must be discarded, and that of UNSPEC may be an address of unknown length (section 2.2).
class Decoder {
 public:
  /// How long a header of version 2 may be, with what is behind its addresses. The protocol allows 64 KiB.
  static constexpr std::size_t kMostV2 = 4096;

  enum class State : std::uint8_t { reading, done, malformed };

  /// Takes what belongs to the header, and says how much that was: less than all only when it is over.
  /// Nothing is taken after that. Keeps at most kMostV2 bytes, until it is over.
  [[nodiscard]] std::size_t feed(ByteView bytes);

  [[nodiscard]] State state() const { return state_; }
  /// When done.
  [[nodiscard]] const Header& header() const { return header_; }
  /// When malformed: "not a PROXY protocol header".
  [[nodiscard]] std::string_view why() const { return why_; }

 private:
  [[nodiscard]] std::size_t wanted() const;
  void look();
  void look_at_line();
  void look_at_block();
  void fail(std::string_view why);
  void finish();

  State state_ = State::reading;
  Bytes bytes_;            // of the header, so far
  std::size_t total_ = 0;  // of version 2, once it is known
  Header header_;
  std::string_view why_;
};

}  // namespace culvert::proxyproto

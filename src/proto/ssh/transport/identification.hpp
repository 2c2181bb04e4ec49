// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert::ssh {

/// Finds the peer's identification line (RFC 4253 section 4.2) in a stream of bytes. A server may send other
/// lines before it; they are skipped, within limits.
class IdentificationReader {
 public:
  /// `lines_before_allowed`: true on a client.
  explicit IdentificationReader(bool lines_before_allowed) : lines_before_allowed_(lines_before_allowed) {}

  struct Found {
    std::size_t taken;                ///< bytes of `bytes` that are done with
    std::optional<std::string> line;  ///< "SSH-2.0-...", without its end of line; none: more is needed
  };

  /// `bytes`: all that came and was not taken yet. Errc::protocol for a line that is too long, too many
  /// lines, a NUL, or a protocol version other than 2.0 (or 1.99).
  [[nodiscard]] Result<Found> read(ByteView bytes);

 private:
  bool lines_before_allowed_;
  std::size_t bytes_before_ = 0;
};

}  // namespace culvert::ssh

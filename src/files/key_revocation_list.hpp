// SPDX-License-Identifier: Apache-2.0
// OpenSSH's key revocation lists (PROTOCOL.krl), as ssh-keygen -k makes them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/wire.hpp"
#include "crypto/certificate.hpp"
#include "crypto/public_key.hpp"

namespace culvert::files {

/// Immutable; any thread.
class KeyRevocationList {
 public:
  /// Whether `content` claims to be one, by its first bytes.
  [[nodiscard]] static bool is_one(std::string_view content);

  /// Whoever reads one half reads it wrong: any section that is malformed (Errc::malformed), unknown, or a
  /// critical extension (Errc::unsupported; there is none that we know) makes it no list at all. Signatures,
  /// which stand behind all else, are not looked at: as for ssh, the file itself is trusted.
  [[nodiscard]] static Result<KeyRevocationList> parse(std::string content);

  /// Section 3 and 4: the key itself, or its hash, is listed.
  [[nodiscard]] bool revokes(const crypto::PublicKey& key) const;
  /// The key that it certifies, the key of its authority, or, by section 2, the certificate: its serial (0
  /// counts as none) or its key id, for its authority or for all.
  [[nodiscard]] bool revokes(const crypto::Certificate& certificate) const;

 private:
  // `authority`: blob of a key; empty: all of them. Views into content_.
  struct Serials {
    ByteView authority;
    std::uint64_t first, last;
  };
  struct Bitmap {
    ByteView authority;
    std::uint64_t offset;  // of the lowest bit of the last byte
    ByteView bits;
  };
  struct KeyId {
    ByteView authority;
    std::string_view id;
  };

  Result<void> read(Reader reader);
  Result<void> read_certificates(Reader reader);
  Result<void> read_serials(ByteView authority, Reader reader);
  Result<void> read_range(ByteView authority, Reader reader);
  Result<void> read_bitmap(ByteView authority, Reader reader);
  Result<void> read_key_ids(ByteView authority, Reader reader);

  std::shared_ptr<const std::string> content_;
  std::vector<ByteView> keys_, sha1s_, sha256s_;
  std::vector<Serials> serials_;
  std::vector<Bitmap> bitmaps_;
  std::vector<KeyId> key_ids_;
};

}  // namespace culvert::files

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/algorithms.hpp"
#include "crypto/random.hpp"
#include "proto/ssh/session.hpp"
#include "proto/ssh/wire/messages.hpp"

namespace culvert::ssh {

/// What two KEXINIT messages agree on (RFC 4253 section 7.1). Rows live as long as the program.
struct Agreement {
  const crypto::KexInfo* key_exchange;
  std::string host_key;  ///< signature algorithm
  struct Direction {
    const crypto::CipherInfo* cipher;
    const crypto::MacInfo* mac;  ///< null for an AEAD cipher
  };
  Direction to_server, to_client;
  bool skip_guess;  ///< the peer's first key exchange packet followed a wrong guess: to be ignored
};

/// Our KEXINIT payload. Names come from `lists` (empty ones: all we have). In the `first` exchange the
/// markers for ext-info (RFC 8308 section 2.1) and strict key exchange are added. A server's keys and
/// certificates limit what it offers to sign with.
[[nodiscard]] Bytes make_kexinit(Role role, const AlgorithmLists& lists,
                                 std::span<const crypto::PublicKey> host_keys,
                                 std::span<const crypto::Certificate> host_certificates, bool first,
                                 crypto::Random& random);

/// `ours`, `theirs`: payloads. Errc::malformed, or Errc::protocol naming what nothing was in common for, with
/// both lists.
[[nodiscard]] Result<Agreement> negotiate(Role role, ByteView ours, ByteView theirs);

/// Whether the peer's first KEXINIT asks for strict key exchange, or for EXT_INFO.
[[nodiscard]] bool asks_for_strict(Role role, const KexInitMessage& theirs);
[[nodiscard]] bool asks_for_ext_info(Role role, const KexInitMessage& theirs);

}  // namespace culvert::ssh

// SPDX-License-Identifier: Apache-2.0
// How a server tells all its host keys to a client that is logged in, so that a new one can follow an old
// one, and proves that it holds them (PROTOCOL of OpenSSH, section 2.5). Whose proof counts is the client's
// affair.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.hpp"
#include "crypto/public_key.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::ssh {

/// The content of "hostkeys-00@openssh.com".
[[nodiscard]] Bytes host_key_list(std::span<const crypto::PublicKey> keys);

/// What has to be signed for "hostkeys-prove-00@openssh.com" with `data`; none if that has to be refused:
/// malformed, no keys, a key twice, or one that is not of `ours`. An RSA key signs with `agreed`, the key
/// exchange's algorithm, where that is one of RSA.
[[nodiscard]] std::optional<HostKeyProofWanted> read_proof_request(ByteView data,
                                                                   std::span<const crypto::PublicKey> ours,
                                                                   ByteView session_id,
                                                                   std::string_view agreed);

}  // namespace culvert::ssh

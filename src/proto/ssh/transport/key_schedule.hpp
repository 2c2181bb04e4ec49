// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "crypto/algorithms.hpp"
#include "proto/ssh/session.hpp"
#include "proto/ssh/transport/negotiation.hpp"

namespace culvert::ssh {

/// What goes into the exchange hash H (RFC 4253 section 8, RFC 5656 section 4).
struct ExchangeTranscript {
  std::string_view client_identification, server_identification;  ///< without end of line
  ByteView client_kexinit, server_kexinit;                        ///< payloads
  ByteView host_key;                                              ///< blob
  ByteView client_value, server_value;  ///< magnitudes or contents, as in crypto::KeyExchange
  bool values_are_mpints;
  ByteView shared_secret;  ///< encoded, as in crypto::SharedSecret
};

[[nodiscard]] Bytes exchange_hash(crypto::HashId hash, const ExchangeTranscript& transcript);

/// The protection of both directions that follows from a key exchange (RFC 4253 section 7.2).
struct NewKeys {
  std::unique_ptr<crypto::Sealer> sealer;
  std::unique_ptr<crypto::Opener> opener;
};

[[nodiscard]] NewKeys derive_keys(Role role, const Agreement& agreed, ByteView shared_secret, ByteView hash,
                                  ByteView session_id);

}  // namespace culvert::ssh

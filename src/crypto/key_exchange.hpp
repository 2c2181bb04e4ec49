// SPDX-License-Identifier: Apache-2.0
// The mathematics of a key exchange, either side, without its messages: RFC 4253 section 8 (group14, group16
// of RFC 8268), RFC 5656 section 4 (ECDH), RFC 8731 (curve25519), RFC 10042 (mlkem768x25519-sha256).
#pragma once

#include <memory>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "crypto/random.hpp"

namespace culvert::crypto {

/// K, encoded as it enters the exchange hash and the key derivation: an mpint, or a string for the hybrids,
/// each with its four bytes of length.
struct SharedSecret {
  SecretBytes encoded;
};

class KeyExchange {
 public:
  struct Response {
    Bytes value;
    SharedSecret secret;
  };

  virtual ~KeyExchange() = default;

  /// True for the methods whose public values are mpints in their messages (finite-field Diffie-Hellman);
  /// false where they are strings. Values here are magnitudes or contents, without length.
  [[nodiscard]] virtual bool values_are_mpints() const = 0;

  /// Client, first: our ephemeral public value.
  [[nodiscard]] virtual Result<Bytes> start(Random& random) = 0;
  /// Client, second: the server's value (any bytes). Errc::protocol if it is not a valid one (wrong length,
  /// point not on the curve, all-zero result, value out of range).
  [[nodiscard]] virtual Result<SharedSecret> finish(ByteView server_value) = 0;
  /// Server: both in one. Errors as for `finish`.
  [[nodiscard]] virtual Result<Response> respond(ByteView client_value, Random& random) = 0;
};

}  // namespace culvert::crypto

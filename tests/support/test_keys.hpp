// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "crypto/private_key.hpp"

namespace culvert::test {

/// Key pairs that all conversations of one test program share.
[[nodiscard]] inline const crypto::PrivateKey& host_key() {
  static const crypto::PrivateKey key = crypto::PrivateKey::generate_ed25519();
  return key;
}
[[nodiscard]] inline const crypto::PrivateKey& user_key() {
  static const crypto::PrivateKey key = crypto::PrivateKey::generate_ed25519();
  return key;
}
/// Belongs to nobody.
[[nodiscard]] inline const crypto::PrivateKey& stranger_key() {
  static const crypto::PrivateKey key = crypto::PrivateKey::generate_ed25519();
  return key;
}

}  // namespace culvert::test

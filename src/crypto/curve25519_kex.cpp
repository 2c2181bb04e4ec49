// SPDX-License-Identifier: Apache-2.0
#include "crypto/key_agreement.hpp"
#include "crypto/key_exchanges.hpp"
#include "crypto/x25519.hpp"

namespace culvert::crypto {

std::unique_ptr<KeyExchange> make_curve25519() {
  return key_agreement(false, [](Random& random) { return X25519Key(random); });
}

}  // namespace culvert::crypto

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "crypto/public_key.hpp"

namespace culvert::tunnel {

/// Whom a server has shown to be, and was accepted as. The next connection of the same program is to the same
/// host, whether or not known_hosts could be told.
struct AcceptedHost {
  std::optional<crypto::PublicKey> key;  ///< none: no connection came that far yet
  std::optional<crypto::PublicKey>
      authority;  ///< of the certificate that spoke for it; none: the key counted
};

}  // namespace culvert::tunnel

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "engine/tunnel/accepted_host.hpp"
#include "engine/tunnel/identities.hpp"

namespace culvert::tunnel {

/// What is kept of one server from a login to the next, in memory alone.
class LoginMemory {
 public:
  Identities identities;  ///< a passphrase is asked for once
  AcceptedHost host;      ///< and so is whether to trust its key

  /// That of the jump host before that server, always the same: it lasts as long as this.
  [[nodiscard]] std::shared_ptr<LoginMemory> of_hop() {
    if (of_hop_ == nullptr) of_hop_ = std::make_shared<LoginMemory>();
    return of_hop_;
  }

 private:
  std::shared_ptr<LoginMemory> of_hop_;  // once it was asked for
};

}  // namespace culvert::tunnel

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/relay/bucket.hpp"

namespace culvert::server {

/// What all sessions of a user, or of a key, use together. On one thread.
struct Usage {
  std::uint32_t sessions = 0;
  std::uint32_t streams = 0;
  std::uint32_t listeners = 0;
  std::uint64_t bytes = 0;  ///< both ways, since the server started, or as its QuotaBook has it
  bool has_quota = false;   ///< it has had one since then
  relay::Bucket in, out;    ///< from the client, to the client
};

}  // namespace culvert::server

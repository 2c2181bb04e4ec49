// SPDX-License-Identifier: Apache-2.0
#include "crypto/random.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <climits>

#include "base/assert.hpp"

namespace culvert::crypto {

void SystemRandom::fill(MutableBytes out) {
  while (!out.empty()) {
    const std::size_t count = std::min<std::size_t>(out.size(), INT_MAX);
    CULVERT_ASSERT(RAND_bytes(out.data(), static_cast<int>(count)) == 1);
    out = out.subspan(count);
  }
}

}  // namespace culvert::crypto

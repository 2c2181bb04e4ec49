// SPDX-License-Identifier: Apache-2.0
#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace culvert {

void assertion_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "culvert: internal error: %s does not hold (%s:%d); please report this\n", condition,
               file, line);
  std::abort();
}

}  // namespace culvert

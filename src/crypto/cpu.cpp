// SPDX-License-Identifier: Apache-2.0
#include "crypto/cpu.hpp"

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace culvert::crypto {

#if defined(__x86_64__)

bool cpu_has_aes() { return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul"); }

#elif defined(__aarch64__)

bool cpu_has_aes() {
  const unsigned long wanted = HWCAP_AES | HWCAP_PMULL;
  return (getauxval(AT_HWCAP) & wanted) == wanted;
}

#else

bool cpu_has_aes() { return false; }

#endif

}  // namespace culvert::crypto

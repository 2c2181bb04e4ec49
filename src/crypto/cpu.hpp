// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: what this CPU can do for us.
#pragma once

namespace culvert::crypto {

/// It has instructions for AES and for the multiplication in GCM.
[[nodiscard]] bool cpu_has_aes();
/// It does both on 512-bit vectors (VAES, VPCLMULQDQ, AVX-512), and the system saves those registers.
[[nodiscard]] bool cpu_has_wide_aes();

}  // namespace culvert::crypto

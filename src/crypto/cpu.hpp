// SPDX-License-Identifier: Apache-2.0
// Inside crypto only: what this CPU can do for us.
#pragma once

namespace culvert::crypto {

/// It has instructions for AES and for the multiplication in GCM.
[[nodiscard]] bool cpu_has_aes();

}  // namespace culvert::crypto

// SPDX-License-Identifier: Apache-2.0
// The words of `culvert map --kernel`: those of `culvert map`, and of protocols that only the kernel can map.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "daemon/plan.hpp"

namespace culvert::cli {

/// What two words stand for. Clients on loopback addresses are served in user space: their packets never pass
/// the hooks with an address that could be answered from elsewhere.
struct KernelMapping {
  std::vector<daemon::KernelForward> in_kernel;
  std::vector<daemon::DirectForward> in_user_space;
};

/// LISTEN as parse_mapping() has it, and sctp/ and dccp/ with ports; or NUMBER/[bind], a whole protocol,
/// whose TARGET is a host alone. One target, and no Unix sockets.
[[nodiscard]] Result<KernelMapping> parse_kernel_mapping(std::string_view listen, std::string_view target);

/// Whether LISTEN is of a protocol that only the kernel can map.
[[nodiscard]] bool needs_kernel(std::string_view listen);

}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
#include "daemon/privileged/capabilities.hpp"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

namespace culvert::daemon {
namespace {

static_assert(kReadFiles == 1U << CAP_DAC_READ_SEARCH && kBindService == 1U << CAP_NET_BIND_SERVICE &&
              kNetAdmin == 1U << CAP_NET_ADMIN && kNetRaw == 1U << CAP_NET_RAW);

constexpr std::array kNames = {std::pair(kNetAdmin, std::string_view("CAP_NET_ADMIN")),
                               std::pair(kNetRaw, std::string_view("CAP_NET_RAW")),
                               std::pair(kBindService, std::string_view("CAP_NET_BIND_SERVICE")),
                               std::pair(kReadFiles, std::string_view("CAP_DAC_READ_SEARCH"))};

// The kernel's own calls: the C library has none.
using Sets = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

Result<Sets> own_sets() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  Sets sets = {};
  if (::syscall(SYS_capget, &header, sets.data()) != 0)
    return fail_errno("cannot read the own capabilities", errno);
  return sets;
}

}  // namespace

Result<Capabilities> permitted_capabilities() {
  const Sets sets = TRY(own_sets());
  return sets[0].permitted | Capabilities{sets[1].permitted} << 32;
}

Result<void> keep_capabilities(Capabilities wanted) {
  const Capabilities kept = wanted & TRY(permitted_capabilities());
  Sets sets = {};
  sets[0].permitted = sets[0].effective = static_cast<std::uint32_t>(kept);
  sets[1].permitted = sets[1].effective = static_cast<std::uint32_t>(kept >> 32);
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  if (::syscall(SYS_capset, &header, sets.data()) != 0)
    return fail_errno("cannot give up capabilities", errno);
  return {};
}

std::string to_string(Capabilities capabilities) {
  std::string text;
  for (const auto& [one, name] : kNames) {
    if ((capabilities & one) == 0) continue;
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

}  // namespace culvert::daemon

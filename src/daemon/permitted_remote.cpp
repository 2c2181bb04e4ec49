// SPDX-License-Identifier: Apache-2.0
#include "daemon/permitted_remote.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace culvert::daemon {

relay::ConnectJudge judge_of_remote(std::optional<std::vector<relay::HostPort>> permitted) {
  if (!permitted) return {};
  return [rules = std::move(*permitted)](std::string_view host, std::uint16_t port,
                                         const std::optional<IpAddress>&) {
    const bool is_allowed = std::ranges::any_of(rules, [&](const relay::HostPort& rule) {
      return (rule.host == "*" || rule.host == host) && (rule.port == 0 || rule.port == port);
    });
    return files::Decision{.allowed = is_allowed,
                           .reason = is_allowed ? "" : "no rule of PermitRemoteOpen names it",
                           .rule = {}};
  };
}

}  // namespace culvert::daemon

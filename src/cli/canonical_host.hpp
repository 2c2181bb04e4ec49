// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"
#include "cli/machine.hpp"
#include "cli/settings.hpp"

namespace culvert::cli {

/// What the server is called in the end: `host` completed by the domains of CanonicalizeHostname, and its
/// aliases followed as CanonicalizePermittedCNAMEs allows (ssh_config(5)). Addresses get their usual form,
/// names become lower case. Errc::not_found: CanonicalizeFallbackLocal=no, and no domain has it.
[[nodiscard]] Result<std::string> canonical_host(std::string host, const Settings& settings,
                                                 Machine& machine);

}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
// From where a key may be used: from="..." of a key, source-address of a certificate.
#pragma once

#include <string_view>

#include "base/ip_address.hpp"
#include "base/result.hpp"

namespace culvert::files {

/// Addresses, networks and patterns, separated by commas, those with a leading '!' negated, as ssh_config(5),
/// "PATTERNS", and sshd's match of addresses have them. Errc::malformed: an entry is empty, or a number that
/// is no address.
[[nodiscard]] Result<void> check_source_list(std::string_view list);

/// The same without patterns and negation.
[[nodiscard]] Result<void> check_network_list(std::string_view list);

/// One entry matches, and none that is negated does. Names never match. Errors as check_source_list().
[[nodiscard]] Result<bool> matches_source(const IpAddress& source, std::string_view list);

}  // namespace culvert::files

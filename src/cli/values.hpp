// SPDX-License-Identifier: Apache-2.0
// The kinds of values that options and keywords take, each read as ssh reads it. An error's message quotes
// the text and says what would have been right: `"abc" is not a port (1 to 65535, or a service name)`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "engine/relay/proxy_header_dialer.hpp"

namespace culvert::cli {

[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

/// Text that the user gave, for an error line: printable, in double quotes.
[[nodiscard]] std::string in_quotes(std::string_view text);

/// Decimal digits alone; Errc::usage if there are others or the value is not in [min, max].
[[nodiscard]] Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t min, std::uint64_t max);

/// A number or a TCP service's name (getservbyname). 0 only if `zero_allowed`.
[[nodiscard]] Result<std::uint16_t> parse_port(std::string_view text, bool zero_allowed = false);

/// yes, true, no, false.
[[nodiscard]] Result<bool> parse_flag(std::string_view text);

/// "90", "1h30m", "2d" (sshd_config(5), TIME FORMATS): at most 2^31-1 seconds.
[[nodiscard]] Result<Duration> parse_time(std::string_view text);

/// "1000", "512K", "1G": bytes, powers of 1024.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);

/// "0600": the permission bits of a file, or those that it lacks. Octal, with or without a 0 in front.
[[nodiscard]] Result<unsigned> parse_permissions(std::string_view text);

/// What stands before the '@' of a URL, each "%41" replaced by the byte that it names (RFC 3986 section 2.1).
/// Errc::usage for a '%' without two hexadecimal digits and for a zero byte; the message quotes nothing of
/// it.
[[nodiscard]] Result<SecretBytes> percent_decoded(std::string_view text);

/// "v1", "v2".
[[nodiscard]] Result<relay::ProxyHeaderVersion> parse_proxy_version(std::string_view text);

}  // namespace culvert::cli

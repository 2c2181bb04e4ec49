// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace culvert {

/// Whether there is nothing in it that printable() would escape, but for backslashes: valid UTF-8 without
/// control characters.
[[nodiscard]] bool is_printable(std::string_view text);

/// Text from a peer or a file, made fit for a terminal or a log line: control characters and bytes that are
/// not valid UTF-8 become \xNN, a backslash becomes \\; what is longer than `limit` bytes is cut and ends in
/// "...".
[[nodiscard]] std::string printable(std::string_view text, std::size_t limit = 1024);

/// ASCII letters alone, whatever the locale.
[[nodiscard]] constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
[[nodiscard]] std::string lower(std::string_view text);
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b);

/// Spaces and tabs.
inline constexpr std::string_view kBlanks = " \t";
/// Without those at its ends.
[[nodiscard]] std::string_view trimmed(std::string_view text, std::string_view blanks = kBlanks);
/// Takes the next word away from `rest`, with the blanks ahead of it; empty if there is none left.
[[nodiscard]] std::string_view next_word(std::string_view& rest, std::string_view blanks = kBlanks);

/// "192.0.2.1:80", "db:80", "[2001:db8::1]:80".
[[nodiscard]] std::string with_port(std::string_view host, std::uint16_t port);
/// The same with "*" or the like.
[[nodiscard]] std::string with_port(std::string_view host, std::string_view port);

}  // namespace culvert

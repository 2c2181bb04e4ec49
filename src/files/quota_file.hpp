// SPDX-License-Identifier: Apache-2.0
// What users and keys have used of their quotas, from one start of a server to the next: text, a line for
// each, "00000000000000012345 user alice". The number has 20 digits always: it is written over in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace culvert::files {

struct QuotaEntry {
  std::string name;         ///< printable, not empty
  std::uint64_t bytes = 0;  ///< used so far
  std::size_t offset = 0;   ///< of the number, in bytes
  bool operator==(const QuotaEntry&) const = default;
};

struct QuotaFile {
  std::vector<QuotaEntry> entries;  ///< no name twice
  std::size_t end = 0;  ///< where the next line goes; behind it is at most a line that was never finished
};

/// `path` is for messages: one line, with the place of the mistake. Errc::malformed.
[[nodiscard]] Result<QuotaFile> parse_quota_file(std::string_view text, const std::string& path);

/// The 20 digits, and a whole line.
[[nodiscard]] std::string quota_number(std::uint64_t bytes);
[[nodiscard]] std::string quota_line(std::uint64_t bytes, std::string_view name);

}  // namespace culvert::files

// SPDX-License-Identifier: Apache-2.0
#include "files/quota_file.hpp"

#include <charconv>
#include <optional>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"

namespace culvert::files {
namespace {

constexpr std::size_t kDigits = 20;  // of 2^64 - 1

std::optional<std::uint64_t> number_of(std::string_view digits) {
  std::uint64_t number = 0;
  const char* const end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, number);
  if (error != std::errc() || rest != end || digits.size() != kDigits) return std::nullopt;
  return number;
}

}  // namespace

Result<QuotaFile> parse_quota_file(std::string_view text, const std::string& path) {
  QuotaFile file;
  std::set<std::string_view> names;
  for (std::size_t line = 1; file.end < text.size(); ++line) {
    const std::size_t size = text.substr(file.end).find('\n');
    if (size == std::string_view::npos) break;  // the machine stopped while it was written
    const std::string_view content = text.substr(file.end, size);
    const auto wrong = [&](std::string_view why) {
      return fail(Errc::malformed, fmt::format("{}:{}: {}", printable(path), line, why));
    };
    const auto bytes = number_of(content.substr(0, kDigits));
    if (!bytes || content.size() < kDigits + 2 || content[kDigits] != ' ')
      return wrong("20 digits, a space and a name should be here");
    const std::string_view name = content.substr(kDigits + 1);
    if (!is_printable(name)) return wrong("the name is not printable");
    if (!names.insert(name).second) return wrong("the same name stands above");
    file.entries.push_back({std::string(name), *bytes, file.end});
    file.end += size + 1;
  }
  return file;
}

std::string quota_number(std::uint64_t bytes) { return fmt::format("{:0{}}", bytes, kDigits); }

std::string quota_line(std::uint64_t bytes, std::string_view name) {
  return fmt::format("{} {}\n", quota_number(bytes), name);
}

}  // namespace culvert::files

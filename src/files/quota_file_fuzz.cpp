// SPDX-License-Identifier: Apache-2.0
// Files of used quotas: the input is one.
#include "files/quota_file.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/bytes.hpp"
#include "base/text.hpp"

using namespace culvert;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(ByteView(data, size));
  const auto file = files::parse_quota_file(text, "used");
  if (!file) {
    if (!is_printable(file.error().message)) std::abort();
    return 0;
  }
  std::string again;
  for (const files::QuotaEntry& entry : file->entries) {
    if (entry.offset != again.size()) std::abort();
    again += files::quota_line(entry.bytes, entry.name);
  }
  if (again != text.substr(0, file->end)) std::abort();
  if (text.substr(file->end).find('\n') != std::string_view::npos) std::abort();
  return 0;
}

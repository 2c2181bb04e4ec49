// SPDX-License-Identifier: Apache-2.0
#include "files/text_file.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"

namespace culvert::files {

Result<TextFile> read_text_file(const std::string& path, std::size_t max_size, const FileOpener& open) {
  const auto file = read_small_file(path, max_size, open);
  if (file) return TextFile{std::string(file->content.text()), file->status};
  Error error = file.error();
  const std::string name = printable(path);
  switch (error.code) {
    case Errc::not_found:
      error.message = fmt::format("{} does not exist", name);
      break;
    case Errc::limit:
      error.message = fmt::format("{}: {}", name, error.message);
      break;
    default:
      error.message = fmt::format("cannot read {}: {}", name, error.message);
  }
  return std::unexpected(std::move(error));
}

}  // namespace culvert::files

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace culvert {

/// Bytes that somebody else owns. Each function that returns one says how long it stays valid.
using ByteView = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;
using Bytes = std::vector<std::uint8_t>;

/// The same memory, seen as bytes.
[[nodiscard]] inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// The same memory, seen as text. Text from a peer goes through `printable()` before it is shown.
[[nodiscard]] inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Of all of them together, in bytes.
[[nodiscard]] inline std::size_t size_of(std::span<const ByteView> views) {
  std::size_t size = 0;
  for (const ByteView view : views) size += view.size();
  return size;
}

[[nodiscard]] inline Bytes copy_of(ByteView bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace culvert

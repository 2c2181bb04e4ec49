// SPDX-License-Identifier: Apache-2.0
// The rules of others, whose names and comments anybody who may write them chooses.
#include <string_view>

#include "base/text.hpp"
#include "proto/nft/obstacles.hpp"
#include "tests/support/fuzz_input.hpp"

using namespace culvert;
using test::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto tables = nft::read_listing(text);
  for (const auto& table : tables) (void)nft::traffic_of(table, 0);
  for (const auto& one : nft::obstacles(tables, {.v4 = true, .v6 = true, .forwarded = true, .local = true}))
    require(is_printable(one.text()), "it is fit for a terminal");
  return 0;
}

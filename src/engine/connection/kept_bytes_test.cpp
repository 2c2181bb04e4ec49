// SPDX-License-Identifier: Apache-2.0
#include "engine/connection/kept_bytes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <deque>

namespace culvert::connection {
namespace {

// Each byte is one more than the one before it, from `next` on.
Bytes counted(std::size_t size, std::uint8_t& next) {
  Bytes bytes(size);
  std::ranges::generate(bytes, [&] { return next++; });
  return bytes;
}

Bytes content(const KeptBytes& kept) {
  std::vector<ByteView> views;
  kept.view(views, 1'000'000);
  Bytes all;
  for (const ByteView view : views) all.insert(all.end(), view.begin(), view.end());
  return all;
}

TEST(KeptBytes, GivesWhatItGotInOrder) {
  KeptBytes kept;
  std::deque<std::uint8_t> expected;
  std::uint8_t next = 0;
  std::size_t size = 1;
  for (int i = 0; i < 400; ++i) {
    size = (size * 31 + 7) % 5000 + 1;
    const Bytes first = counted(size, next), second = counted(size * 40, next);
    const std::size_t skip = size * 17 % (first.size() + second.size() + 1);
    const std::array<ByteView, 2> views = {first, second};
    EXPECT_EQ(kept.append(views, skip), first.size() + second.size() - skip);
    std::size_t i_of_all = 0;
    for (const ByteView view : views) {
      for (const std::uint8_t byte : view)
        if (i_of_all++ >= skip) expected.push_back(byte);
    }
    ASSERT_EQ(kept.size(), expected.size());
    const std::size_t taken = std::min(kept.size(), size * 53 % 190'000);
    kept.drop(taken);
    expected.erase(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(taken));
    if (i % 20 == 0) ASSERT_TRUE(std::ranges::equal(content(kept), expected));
  }
  kept.drop(kept.size());
  EXPECT_TRUE(kept.empty());
  EXPECT_TRUE(content(kept).empty());
}

// What a session read at once comes as many packets: one block, and one call for all of it.
TEST(KeptBytes, ManyPacketsAreOneBlock) {
  KeptBytes kept;
  const Bytes packet(32'768);
  const std::array<ByteView, 7> views = {packet, packet, packet, packet, packet, packet, packet};
  (void)kept.append(views, 100);
  std::vector<ByteView> seen;
  kept.view(seen, 100);
  EXPECT_EQ(seen.size(), 1U);
}

TEST(KeptBytes, ViewsAreAsManyAsAreAskedFor) {
  KeptBytes kept;
  const Bytes much(2'000'000);
  const std::array<ByteView, 1> views = {much};
  (void)kept.append(views, 0);
  std::vector<ByteView> seen;
  kept.view(seen, 3);
  EXPECT_EQ(seen.size(), 3U);
}

}  // namespace
}  // namespace culvert::connection

// SPDX-License-Identifier: Apache-2.0
#include "files/quota_file.hpp"

#include <cstdint>
#include <string>

#include <gtest/gtest.h>

namespace culvert::files {
namespace {

TEST(QuotaFile, ReadsWhatItWrites) {
  const std::string text = quota_line(12345, "user alice") + quota_line(UINT64_MAX, "key SHA256:abc");
  EXPECT_EQ(text, "00000000000000012345 user alice\n18446744073709551615 key SHA256:abc\n");
  const auto file = parse_quota_file(text, "used");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->entries,
            (std::vector<QuotaEntry>{{"user alice", 12345, 0}, {"key SHA256:abc", UINT64_MAX, 32}}));
  EXPECT_EQ(file->end, text.size());
}

TEST(QuotaFile, PassesOverALineThatWasNeverFinished) {
  const std::string whole = quota_line(1, "user a");
  const std::string next = quota_line(2, "user b");
  for (std::size_t size = 0; size < next.size(); ++size) {
    const auto file = parse_quota_file(whole + next.substr(0, size), "used");
    ASSERT_TRUE(file) << size;
    EXPECT_EQ(file->entries.size(), 1u);
    EXPECT_EQ(file->end, whole.size());
  }
}

TEST(QuotaFile, SaysWhereTheMistakeIs) {
  const std::string good = quota_line(1, "user a");
  const auto why = [&](const std::string& line) {
    const auto file = parse_quota_file(good + line, "used");
    return file ? "" : file.error().message;
  };
  const std::string shape = "used:2: 20 digits, a space and a name should be here";
  EXPECT_EQ(why("12345 user b\n"), shape);
  EXPECT_EQ(why("\n"), shape);
  EXPECT_EQ(why("0000000000000001234x user b\n"), shape);
  EXPECT_EQ(why("-0000000000000012345 user b\n"), shape);
  EXPECT_EQ(why("18446744073709551616 user b\n"), shape);
  EXPECT_EQ(why("00000000000000012345\n"), shape);
  EXPECT_EQ(why("00000000000000012345 \n"), shape);
  EXPECT_EQ(why("00000000000000012345 user \x1b[2J\n"), "used:2: the name is not printable");
  EXPECT_EQ(why(good), "used:2: the same name stands above");
}

}  // namespace
}  // namespace culvert::files

// SPDX-License-Identifier: Apache-2.0
#include "engine/server/opened_file.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/support/recorded_privileges.hpp"
#include "tests/support/temp_dir.hpp"

namespace culvert::server {
namespace {

TEST(FileStamp, IsAnotherOneAfterEachChange) {
  const testing::TempDir dir;
  testing::RecordedPrivileges privileges;
  const std::string path = dir.path() / "a", other = dir.path() / "b";
  const auto stamp = [&] { return file_stamp(path, privileges); };
  std::string last = stamp();
  const auto has_changed = [&] {
    EXPECT_EQ(stamp(), stamp());
    return std::exchange(last, stamp()) != last;
  };
  EXPECT_FALSE(has_changed());
  std::ofstream(path) << "text";
  EXPECT_TRUE(has_changed());
  EXPECT_FALSE(has_changed());
  std::ofstream(path, std::ios::app) << "more";
  EXPECT_TRUE(has_changed());
  std::ofstream(other) << "textmore";
  std::filesystem::rename(other, path);
  EXPECT_TRUE(has_changed()) << "another file of the same size";
  std::filesystem::remove(path);
  EXPECT_TRUE(has_changed());
  EXPECT_TRUE(privileges.opened.empty());
}

}  // namespace
}  // namespace culvert::server

// SPDX-License-Identifier: Apache-2.0
#include "engine/server/quota_book.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.hpp"

namespace culvert::server {
namespace {

class QuotaBookTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string text() const {
    std::ostringstream out;
    out << std::ifstream(path_).rdbuf();
    return out.str();
  }

  culvert::testing::TempDir dir_;
  const std::string path_ = dir_.path() / "used";
};

TEST_F(QuotaBookTest, RemembersOverARestart) {
  {
    const auto book = QuotaBook::open(path_);
    ASSERT_TRUE(book) << book.error().message;
    EXPECT_EQ((*book)->used("user alice"), 0u);
    (*book)->keep("user alice", 10);
    (*book)->keep("key SHA256:x", 20);
    (*book)->keep("user alice", 1'000'000'000'000);
    EXPECT_EQ((*book)->used("user alice"), 1'000'000'000'000u);
  }
  EXPECT_EQ(text(), "00000001000000000000 user alice\n00000000000000000020 key SHA256:x\n");
  const auto book = QuotaBook::open(path_);
  ASSERT_TRUE(book) << book.error().message;
  EXPECT_EQ((*book)->used("user alice"), 1'000'000'000'000u);
  EXPECT_EQ((*book)->used("key SHA256:x"), 20u);
  struct stat status = {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(QuotaBookTest, WritesOverALineThatWasNeverFinished) {
  std::ofstream(path_) << "00000000000000000001 user a\n00000000000000000002 user somebody with a long na";
  {
    const auto book = QuotaBook::open(path_);
    ASSERT_TRUE(book) << book.error().message;
    (*book)->keep("user b", 2);
  }
  EXPECT_EQ(text(), "00000000000000000001 user a\n00000000000000000002 user b\n");
}

TEST_F(QuotaBookTest, ANameCannotForgeALine) {
  {
    const auto book = QuotaBook::open(path_);
    ASSERT_TRUE(book);
    (*book)->keep("user a\n00000000000000000000 user b", 7);
  }
  const auto book = QuotaBook::open(path_);
  ASSERT_TRUE(book) << book.error().message;
  EXPECT_EQ((*book)->used("user b"), 0u);
  EXPECT_EQ((*book)->used("user a\n00000000000000000000 user b"), 7u);
}

TEST_F(QuotaBookTest, OneServerKeepsIt) {
  const auto book = QuotaBook::open(path_);
  ASSERT_TRUE(book);
  const auto second = QuotaBook::open(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "quota file " + path_ + ": another server keeps it");
}

TEST_F(QuotaBookTest, SaysWhatIsWrongWithTheFile) {
  const auto why = [](const std::string& path) {
    const auto book = QuotaBook::open(path);
    return book ? "" : book.error().message;
  };
  std::ofstream(path_) << "what is this\n";
  EXPECT_EQ(why(path_), path_ + ":1: 20 digits, a space and a name should be here");
  EXPECT_EQ(why(dir_.path() / "no" / "such"),
            "quota file " + (dir_.path() / "no" / "such").string() + ": No such file or directory");
  EXPECT_EQ(why("/dev/null"), "quota file /dev/null: it is no file");
}

}  // namespace
}  // namespace culvert::server

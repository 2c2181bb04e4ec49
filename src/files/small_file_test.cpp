// SPDX-License-Identifier: Apache-2.0
#include "files/small_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "files/text_file.hpp"

namespace culvert::files {
namespace {

class SmallFileTest : public ::testing::Test {
 protected:
  SmallFileTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "culvert-small-file-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~SmallFileTest() override { std::filesystem::remove_all(folder_); }

  std::string file_of(std::size_t size) {
    const std::string path = folder_ + "/file";
    std::ofstream(path) << std::string(size, 'x');
    return path;
  }

  std::string folder_;
};

TEST_F(SmallFileTest, IsReadUpToItsLimit) {
  for (const std::size_t size : {0, 1, 1023, 1024}) {
    const std::string path = file_of(size);
    const auto file = read_small_file(path, 1024);
    ASSERT_TRUE(file) << size;
    EXPECT_EQ(file->content.text(), std::string(size, 'x'));
    EXPECT_EQ(static_cast<std::size_t>(file->status.st_size), size);
    EXPECT_EQ(read_text_file(path, 1024).value().text, std::string(size, 'x'));
  }
  const std::string path = file_of(1025);
  const auto small = read_small_file(path, 1024);
  ASSERT_FALSE(small);
  EXPECT_EQ(small.error().code, Errc::limit);
  EXPECT_EQ(small.error().message, "larger than 1 KiB");
  EXPECT_EQ(read_text_file(path, 1024).error().message, path + ": larger than 1 KiB");
  EXPECT_EQ(read_text_file("/dev/zero", 2 << 20).error().message, "/dev/zero: larger than 2 MiB");
}

// It has no size to go by.
TEST_F(SmallFileTest, MayBeAPipe) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const std::string content(5000, 'p');
  ASSERT_EQ(::write(ends[1], content.data(), content.size()), 5000);
  ::close(ends[1]);
  const auto file = read_text_file("a pipe", 1 << 20, [&](const std::string&) { return ends[0]; });
  ASSERT_TRUE(file);
  EXPECT_EQ(file->text, content);
}

TEST_F(SmallFileTest, SaysWhyItCannotBeRead) {
  const auto none = read_small_file(folder_ + "/none", 10);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Errc::not_found);
  EXPECT_EQ(none.error().message, "No such file or directory");
  EXPECT_EQ(read_text_file(folder_ + "/none", 10).error().message, folder_ + "/none does not exist");
  EXPECT_EQ(read_small_file(folder_, 10).error().message, "Is a directory");
  const auto directory = read_text_file(folder_, 10);
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().code, Errc::system);
  EXPECT_EQ(directory.error().message, "cannot read " + folder_ + ": Is a directory");
}

}  // namespace
}  // namespace culvert::files

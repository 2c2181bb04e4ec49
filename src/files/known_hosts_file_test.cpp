// SPDX-License-Identifier: Apache-2.0
#include "files/known_hosts_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "files/known_hosts.hpp"

namespace culvert::files {
namespace {

class KnownHostsFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = testing::TempDir() + "/known_hosts_XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static mode_t mode_of(const std::string& path) {
    struct stat status{};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status.st_mode & 0777;
  }
  static void put(const std::string& path, std::string_view text) {
    std::ofstream(path, std::ios::binary) << text;
  }

  std::string folder_;
};

TEST_F(KnownHostsFile, IsMadeWithItsFolder) {
  const std::string path = folder_ + "/.ssh/known_hosts";
  EXPECT_EQ(read_known_hosts(path).error().code, Errc::not_found);
  ASSERT_TRUE(append_known_hosts(path, "one\n"));
  ASSERT_TRUE(append_known_hosts(path, "two\n"));
  EXPECT_EQ(*read_known_hosts(path), "one\ntwo\n");
  EXPECT_EQ(mode_of(path), 0600u);
  EXPECT_EQ(mode_of(folder_ + "/.ssh"), 0700u);
}

TEST_F(KnownHostsFile, KeepsItsModeAndEndsAHalfLine) {
  const std::string path = folder_ + "/known_hosts";
  put(path, "half");
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  ASSERT_TRUE(append_known_hosts(path, "one\n"));
  EXPECT_EQ(*read_known_hosts(path), "half\none\n");
  EXPECT_EQ(mode_of(path), 0644u);
}

TEST_F(KnownHostsFile, IsWrittenThroughALink) {
  put(folder_ + "/real", "one\n");
  ASSERT_EQ(::symlink("real", (folder_ + "/known_hosts").c_str()), 0);
  ASSERT_TRUE(append_known_hosts(folder_ + "/known_hosts", "two\n"));
  EXPECT_EQ(*read_known_hosts(folder_ + "/real"), "one\ntwo\n");
}

TEST_F(KnownHostsFile, MayBeTheNullDevice) {
  EXPECT_TRUE(append_known_hosts("/dev/null", "one\n"));
  EXPECT_EQ(*read_known_hosts("/dev/null"), "");
}

TEST_F(KnownHostsFile, MayBeAPipeThatSomebodyWrites) {
  const std::string path = folder_ + "/pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const int kept = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);  // so are its bytes
  const int pipe = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(pipe, 0);
  std::jthread writer([pipe] {
    EXPECT_EQ(::write(pipe, "one\n", 4), 4);
    ::close(pipe);
  });
  EXPECT_EQ(read_known_hosts(path).value_or("?"), "one\n");
  ::close(kept);
}

TEST_F(KnownHostsFile, IsNotWaitedForAtAPipeThatNobodyWrites) {
  const std::string path = folder_ + "/pipe";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const auto read = read_known_hosts(path);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().message, "cannot read " + path + ": it is a pipe, and nobody writes to it");
  const auto written = append_known_hosts(path, "one\n");
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().message, "cannot write to " + path + ": it is a pipe, and keeps nothing");
}

TEST_F(KnownHostsFile, SaysWhatWentWrong) {
  const auto folder = read_known_hosts(folder_);
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().detail, EISDIR);
  EXPECT_NE(folder.error().message.find(folder_), std::string::npos);
  const auto missing = append_known_hosts(folder_ + "/no/such/known_hosts", "one\n");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::system);
  EXPECT_EQ(missing.error().detail, ENOENT);
  const auto full = append_known_hosts("/dev/full", "one\n");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().detail, ENOSPC);
  put(folder_ + "/large", std::string(kMaxKnownHostsSize + 1, '\n'));
  EXPECT_EQ(read_known_hosts(folder_ + "/large").error().code, Errc::limit);
}

TEST_F(KnownHostsFile, LinesOfSeveralWritersDoNotMix) {
  const std::string path = folder_ + "/known_hosts";
  constexpr int kWriters = 4;
  constexpr int kLines = 50;
  std::vector<std::jthread> writers;
  for (int i = 0; i < kWriters; ++i) {
    writers.emplace_back([&path, i] {
      const std::string line = std::string(300, static_cast<char>('a' + i)) + "\n";
      for (int n = 0; n < kLines; ++n) EXPECT_TRUE(append_known_hosts(path, line));
    });
  }
  writers.clear();
  std::ifstream file(path);
  int count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    EXPECT_EQ(line, std::string(300, line.empty() ? '-' : line[0]));
  }
  EXPECT_EQ(count, kWriters * kLines);
}

}  // namespace
}  // namespace culvert::files

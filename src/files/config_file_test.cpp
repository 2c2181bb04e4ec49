// SPDX-License-Identifier: Apache-2.0
#include "files/config_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace culvert::files {
namespace {

class ConfigFile : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/culvert-config-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    for (const auto& path : find_config_files(folder_ + "/*").value_or(std::vector<std::string>{})) {
      ::unlink(path.c_str());
    }
    ::rmdir(folder_.c_str());
  }
  std::string write(const std::string& name, mode_t mode) {
    const std::string path = folder_ + "/" + name;
    std::ofstream(path) << "Port 22\n";
    ::chmod(path.c_str(), mode);
    return path;
  }
  std::string folder_;
};

TEST_F(ConfigFile, IsReadIfNobodyElseCanWriteToIt) {
  for (const mode_t mode : {0600u, 0644u, 0444u}) {
    EXPECT_EQ(read_config_file(write("a", mode), OwnerCheck::required), "Port 22\n") << mode;
  }
  for (const mode_t mode : {0646u, 0602u, 0666u}) {
    const std::string path = write("b", mode);
    EXPECT_TRUE(read_config_file(path, OwnerCheck::skip));
    const auto refused = read_config_file(path, OwnerCheck::required);
    ASSERT_FALSE(refused) << mode;
    EXPECT_TRUE(refused.error().message.starts_with("Bad owner or permissions on " + path));
  }
}

TEST_F(ConfigFile, OfSomeoneElseIsRefused) {
  const std::string path = write("a", 0644);
  if (::chown(path.c_str(), 12345, 12345) != 0) GTEST_SKIP() << "not root";
  EXPECT_FALSE(read_config_file(path, OwnerCheck::required));
  EXPECT_TRUE(read_config_file(path, OwnerCheck::skip));
}

TEST_F(ConfigFile, Missing) {
  EXPECT_EQ(read_config_file(folder_ + "/none", OwnerCheck::required).error().code, Errc::not_found);
}

TEST_F(ConfigFile, FoundByPatternInOrder) {
  const std::string second = write("b.conf", 0600), first = write("a.conf", 0600);
  write("c", 0600);
  EXPECT_EQ(find_config_files(folder_ + "/*.conf"), (std::vector<std::string>{first, second}));
  EXPECT_EQ(find_config_files(folder_ + "/*.none"), std::vector<std::string>{});
}

}  // namespace
}  // namespace culvert::files

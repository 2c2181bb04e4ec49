// SPDX-License-Identifier: Apache-2.0
#include "cli/missing_identities.hpp"

#include <fstream>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.hpp"

namespace culvert::cli {
namespace {

TEST(MissingIdentities, AreAsIfNotGiven) {
  const testing::TempDir home;
  const std::string here = home.path() / "here";
  std::ofstream(here).put('x');
  std::ofstream(home.path() / "held.pub").put('x');
  const std::string held = home.path() / "held";
  const std::vector<std::string_view> arguments = {
      "-i", here, "-i", "~/here", "-i", "~/gone", "-i", held, "-i", "%d/gone", "-oIdentityFile=~/away", "h"};
  auto line = read_command_line(arguments);
  ASSERT_TRUE(line) << line.error().message;
  const auto warnings = drop_missing_identities(*line, home.path().string());
  EXPECT_EQ(line->settings.identity_files,
            (std::vector<std::string>{here, "~/here", held, "%d/gone", "~/away"}));
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_EQ(warnings[0],
            "Identity file " + home.path().string() + "/gone not accessible: No such file or directory");
}

}  // namespace
}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/identities.hpp"

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "base/log.hpp"
#include "engine/tunnel/login_memory.hpp"
#include "tests/support/temp_dir.hpp"

namespace culvert::tunnel {
namespace {

void keygen(const std::string& arguments) {
  if (std::system(("ssh-keygen -q " + arguments).c_str()) != 0) throw std::runtime_error("ssh-keygen failed");
}

class IdentitiesTest : public ::testing::Test {
 protected:
  IdentitiesTest() {
    (void)set_up_log(LogLevel::error, "");
    keygen("-t ed25519 -a 1 -N secret -C test -f " + path_);
    options_.identity_files = {dir_.path() / "missing", path_};
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.path() / "id";
  ServerOptions options_;
};

TEST_F(IdentitiesTest, WhatWasUnlockedStaysSo) {
  const SecretBytes passphrase(std::string_view("secret"));
  Identities identities;
  identities.load(options_);
  ASSERT_EQ(identities.files().size(), 1u);
  EXPECT_FALSE(identities.files()[0]->unlock());
  ASSERT_TRUE(identities.files()[0]->unlock(&passphrase));

  identities.load(options_);
  ASSERT_EQ(identities.files().size(), 1u);
  EXPECT_TRUE(identities.files()[0]->unlock());
}

TEST_F(IdentitiesTest, ThoseOfTheHopLastAsLong) {
  LoginMemory memory;
  memory.identities.load(options_);
  memory.of_hop()->identities.load(options_);
  const auto file = memory.of_hop()->identities.files().at(0);
  memory.identities.load(options_);
  memory.of_hop()->identities.load(options_);
  EXPECT_EQ(memory.of_hop()->identities.files().at(0), file);
}

TEST_F(IdentitiesTest, AFileThatChangedIsAnotherOne) {
  const SecretBytes passphrase(std::string_view("secret"));
  Identities identities;
  identities.load(options_);
  ASSERT_TRUE(identities.files()[0]->unlock(&passphrase));
  const auto before = identities.files()[0]->public_key();

  std::filesystem::remove(path_);
  keygen("-t ed25519 -a 1 -N other -C test -f " + path_);
  identities.load(options_);
  ASSERT_EQ(identities.files().size(), 1u);
  EXPECT_FALSE(identities.files()[0]->unlock());
  EXPECT_FALSE(identities.files()[0]->public_key() == before);
}

TEST_F(IdentitiesTest, AFileThatIsGoneIsKeptButNotOneThatOthersMayRead) {
  const SecretBytes passphrase(std::string_view("secret"));
  Identities identities;
  identities.load(options_);
  ASSERT_TRUE(identities.files()[0]->unlock(&passphrase));
  const std::string away = path_ + ".away";
  std::filesystem::rename(path_, away);
  std::filesystem::rename(path_ + ".pub", away + ".pub");
  identities.load(options_);
  ASSERT_EQ(identities.files().size(), 1u);
  EXPECT_TRUE(identities.files()[0]->unlock());

  std::filesystem::rename(away, path_);
  std::filesystem::permissions(path_, std::filesystem::perms::others_read,
                               std::filesystem::perm_options::add);
  identities.load(options_);
  EXPECT_TRUE(identities.files().empty());
}

}  // namespace
}  // namespace culvert::tunnel

// SPDX-License-Identifier: Apache-2.0
// Who may log in, and what of it changes with the files. What keys, rules and lists say is tested in
// src/files.
#include "engine/server/account.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "base/log.hpp"
#include "crypto/base64.hpp"
#include "crypto/certificate_fixtures_test.hpp"
#include "crypto/private_key.hpp"
#include "engine/server/own_privileges.hpp"
#include "tests/support/temp_dir.hpp"

namespace culvert::server {
namespace {

constexpr UnixSeconds kNow = 1'767'225'601;  // in the validity of the fixtures

std::string line_of(const crypto::PublicKey& key) {
  return key.type() + ' ' + crypto::base64_encode(key.blob()) + '\n';
}

class AccountsTest : public ::testing::Test {
 protected:
  AccountsTest() {
    (void)set_up_log(LogLevel::error, dir_.path() / "log");
    write("keys", line_of(key_) + "cert-authority " + line_of(certificate_.authority()));
    options_.keys = {{"", dir_.path() / "keys"}};
    options_.allow_all = true;
  }
  ~AccountsTest() override { (void)set_up_log(LogLevel::notice, ""); }

  // Another file each time: two that are written in one tick of the clock may look the same.
  void write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = dir_.path() / name, fresh = dir_.path() / "fresh";
    std::ofstream(fresh) << text;
    std::filesystem::permissions(fresh, std::filesystem::perms(0600));
    std::filesystem::rename(fresh, path);
  }
  void load() {
    options_.revoked_keys = {dir_.path() / "revoked"};
    accounts_ = *Accounts::load(options_, *privileges_);
  }
  Result<Permit> key_logs_in() {
    return accounts_->judge({.user = "me", .key = key_, .signed_ = true}, *IpAddress::parse("127.0.0.1"),
                            kNow);
  }
  Result<Permit> certificate_logs_in() {
    return accounts_->judge(
        {.user = "alice", .key = certificate_.key(), .signed_ = true, .certificate = certificate_},
        *IpAddress::parse("127.0.0.1"), kNow);
  }

  const crypto::PublicKey key_ = crypto::PrivateKey::generate_ed25519().public_key();
  const crypto::PublicKey other_ = crypto::PrivateKey::generate_ed25519().public_key();
  const crypto::Certificate certificate_ = *crypto::parse_certificate_line(crypto::kUserRsa);
  testing::TempDir dir_;
  ServerOptions options_;
  std::unique_ptr<OwnPrivileges> privileges_ =
      *OwnPrivileges::load({dir_.path() / "host_key"}, dir_.path() / "host_key");
  std::unique_ptr<Accounts> accounts_;
};

TEST_F(AccountsTest, LetsInWhomTheFileNames) {
  accounts_ = *Accounts::load(options_, *privileges_);
  EXPECT_TRUE(key_logs_in());
  EXPECT_TRUE(certificate_logs_in());
  write("keys", line_of(other_));
  EXPECT_EQ(key_logs_in().error().code, Errc::denied);
  EXPECT_EQ(certificate_logs_in().error().code, Errc::denied);
}

TEST_F(AccountsTest, LetsInNoKeyThatIsRevoked) {
  write("revoked", line_of(other_));
  load();
  EXPECT_TRUE(key_logs_in());
  write("revoked", "# a comment\n" + line_of(other_) + line_of(key_));
  const auto refused = key_logs_in();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "the key is revoked by " + (dir_.path() / "revoked").string());
  EXPECT_TRUE(certificate_logs_in());
  write("revoked", "");
  EXPECT_TRUE(key_logs_in());
}

TEST_F(AccountsTest, LetsInNoCertificateOfARevokedKeyOrAuthority) {
  for (const crypto::PublicKey& key : {certificate_.key(), certificate_.authority()}) {
    write("revoked", line_of(key));
    load();
    const auto refused = certificate_logs_in();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "the certificate is revoked by " + (dir_.path() / "revoked").string());
    EXPECT_TRUE(key_logs_in());
  }
}

TEST_F(AccountsTest, LetsInNobodyWhileAListCannotBeRead) {
  write("revoked", "");
  load();
  write("revoked", "nonsense\n");
  const auto refused = key_logs_in();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "cannot tell whether the key is revoked: " +
                                         (dir_.path() / "revoked").string() + ": line 1: not a public key");
  std::filesystem::remove(dir_.path() / "revoked");
  EXPECT_EQ(key_logs_in().error().code, Errc::verification);
  write("revoked", "");
  EXPECT_TRUE(key_logs_in());
  std::filesystem::permissions(dir_.path() / "revoked", std::filesystem::perms(0666));
  EXPECT_EQ(key_logs_in().error().code, Errc::verification) << "anybody could change it";
  std::filesystem::permissions(dir_.path() / "revoked", std::filesystem::perms(0600));
  EXPECT_TRUE(key_logs_in());
}

TEST_F(AccountsTest, DoesNotStartWithoutItsLists) {
  options_.revoked_keys = {dir_.path() / "revoked"};
  EXPECT_EQ(Accounts::load(options_, *privileges_).error().code, Errc::not_found);
  write("revoked", "nonsense\n");
  EXPECT_FALSE(Accounts::load(options_, *privileges_));
}

TEST_F(AccountsTest, ASessionWhoseKeyIsRevokedMayDoNothingMore) {
  write("revoked", "");
  load();
  auto by_key = *key_logs_in(), by_certificate = *certificate_logs_in();
  accounts_->refresh(by_key);
  EXPECT_TRUE(check_limits(by_key));
  const auto before = accounts_->refresh();
  EXPECT_EQ(accounts_->refresh(), before);

  write("revoked", "nonsense\n");
  EXPECT_NE(accounts_->refresh(), before);
  accounts_->refresh(by_key);
  EXPECT_TRUE(check_limits(by_key)) << "who is in stays in while nobody can tell";
  write("revoked", "");
  std::filesystem::permissions(dir_.path() / "revoked", std::filesystem::perms(0666));
  accounts_->refresh(by_key);
  EXPECT_TRUE(check_limits(by_key)) << "the same";

  write("revoked", line_of(key_) + line_of(certificate_.authority()));
  accounts_->refresh(by_key);
  accounts_->refresh(by_certificate);
  EXPECT_EQ(check_limits(by_key).error().message, "the key was revoked");
  EXPECT_EQ(check_limits(by_certificate).error().message, "the key was revoked");
  write("revoked", "");
  accounts_->refresh(by_key);
  EXPECT_FALSE(check_limits(by_key)) << "it has to log in again";
}

}  // namespace
}  // namespace culvert::server

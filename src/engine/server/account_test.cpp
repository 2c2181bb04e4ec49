// SPDX-License-Identifier: Apache-2.0
// Who may log in, and what of it changes with the files. What keys, rules and lists say is tested in
// src/files.
#include "engine/server/account.hpp"

#include <cerrno>
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

/// Whose files cannot be opened for a while.
class BrokenPrivileges final : public Privileges {
 public:
  explicit BrokenPrivileges(Privileges& inner) : inner_(inner) {}
  const std::vector<crypto::PublicKey>& host_keys() const override { return inner_.host_keys(); }
  Result<Bytes> sign(std::size_t key, std::string_view algorithm, ByteView message) override {
    return inner_.sign(key, algorithm, message);
  }
  Result<net::UniqueFd> open(const std::string& path) override {
    ++opened;
    if (error != 0) return fail_errno("cannot open " + path, error);
    return inner_.open(path);
  }
  Result<net::UniqueFd> bind(const boost::asio::ip::tcp::endpoint& endpoint) override {
    return inner_.bind(endpoint);
  }
  int error = 0;
  int opened = 0;

 private:
  Privileges& inner_;
};

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
  Result<Permit> asks_as(const std::string& user) {
    return accounts_->judge({.user = user, .key = key_, .signed_ = false}, *IpAddress::parse("127.0.0.1"),
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
  EXPECT_EQ(key_logs_in().error().code, Errc::not_found);
  EXPECT_EQ(certificate_logs_in().error().code, Errc::not_found);
}

TEST_F(AccountsTest, LetsInWhomAnyOfTheFilesNames) {
  write("empty", "");
  write("others", line_of(other_));
  const auto path = [this](const char* name) { return (dir_.path() / name).string(); };
  options_.keys = {{"", path("empty")}, {"", path("others")}, {"", path("keys")}};
  accounts_ = *Accounts::load(options_, *privileges_);
  EXPECT_TRUE(key_logs_in());
  EXPECT_TRUE(certificate_logs_in());

  options_.keys = {{"", path("keys")}, {"me", path("empty")}};
  accounts_ = *Accounts::load(options_, *privileges_);
  EXPECT_FALSE(key_logs_in()) << "who has files of their own has those alone";
  for (const bool keys_come_first : {true, false}) {
    options_.keys = {{"me", path("empty")}, {"me", path("keys")}};
    if (keys_come_first) std::swap(options_.keys[0], options_.keys[1]);
    accounts_ = *Accounts::load(options_, *privileges_);
    EXPECT_TRUE(key_logs_in());
  }
  // Of the rules, too.
  write("rules", "[[user]]\nname = \"me\"\nauthorized_keys = \"" + path("keys") + "\"\n");
  options_.rules_file = path("rules");
  options_.keys = {{"me", path("empty")}};
  accounts_ = *Accounts::load(options_, *privileges_);
  EXPECT_TRUE(key_logs_in());
}

// A key in a file for everybody belongs to no name.
TEST_F(AccountsTest, SaysThatANameCanBeChosen) {
  const auto says_so = [this] {
    accounts_ = *Accounts::load(options_, *privileges_);
    return std::ranges::count_if(accounts_->warnings(), [](const std::string& line) {
      return line.contains("may log in as alice and do what that user may");
    });
  };
  options_.allow_all = false;
  options_.rules_file = dir_.path() / "rules";
  write("rules", "[[user]]\nname = \"alice\"\nconnect = [\"*:80\"]\n");
  write("keys", line_of(key_));
  EXPECT_EQ(says_so(), 0) << "nobody else, and nothing to be had under another name";
  write("keys", line_of(key_) + line_of(other_));
  EXPECT_EQ(says_so(), 1);
  write("keys", "permitopen=\"a:1\" " + line_of(key_));
  EXPECT_EQ(says_so(), 1);
  options_.keys.push_back({"alice", dir_.path() / "alice"});
  EXPECT_EQ(says_so(), 0);
}

TEST_F(AccountsTest, KeepsNothingOfThoseWhoOnlyAsk) {
  accounts_ = *Accounts::load(options_, *privileges_);
  auto asked = asks_as("me");
  ASSERT_TRUE(asked);
  asked->of_user->bytes = 5;
  EXPECT_EQ(asks_as("me")->of_user->bytes, 0u);
  EXPECT_EQ(asks_as(std::string(256, 'x'))->user, std::string(256, 'x'));
  EXPECT_EQ(asks_as(std::string(257, 'x')).error().code, Errc::not_found);
}

TEST_F(AccountsTest, SessionsOfOneUserUseTheSame) {
  accounts_ = *Accounts::load(options_, *privileges_);
  auto first = key_logs_in();
  ASSERT_TRUE(first);
  accounts_->admit(*first);
  first->of_user->bytes = 5;
  EXPECT_EQ(asks_as("me")->of_user->bytes, 5u);
  auto second = key_logs_in();
  ASSERT_TRUE(second);
  accounts_->admit(*second);
  EXPECT_EQ(second->of_user, first->of_user);
  EXPECT_EQ(second->of_key, first->of_key);
  auto other = asks_as("somebody else");
  accounts_->admit(*other);
  EXPECT_NE(other->of_user, first->of_user);
  EXPECT_EQ(other->of_key, first->of_key);
}

TEST_F(AccountsTest, AnErrorOfTheSystemLocksOutNobodyForLong) {
  BrokenPrivileges broken(*privileges_);
  write("revoked", "");
  options_.revoked_keys = {dir_.path() / "revoked"};
  accounts_ = *Accounts::load(options_, broken);
  EXPECT_TRUE(key_logs_in());
  write("keys", line_of(key_));
  write("revoked", "# again\n");
  broken.error = EMFILE;
  EXPECT_FALSE(key_logs_in());
  broken.error = 0;
  EXPECT_TRUE(key_logs_in());
  broken.opened = 0;
  EXPECT_TRUE(key_logs_in());
  EXPECT_EQ(broken.opened, 0) << "nothing has changed";
}

TEST_F(AccountsTest, LetsListenWhoIsNamedSinceTheStart) {
  options_.allow_all = false;
  options_.rules_file = dir_.path() / "rules";
  write("rules", "");
  accounts_ = *Accounts::load(options_, *privileges_);
  EXPECT_FALSE(accounts_->let_listen(*IpAddress::parse("127.0.0.1"), 80));
  write("bob", "permitlisten=\"127.0.0.1:80\" " + line_of(other_));
  write("rules", "[[user]]\nname = \"bob\"\nauthorized_keys = \"" + (dir_.path() / "bob").string() + "\"\n");
  EXPECT_TRUE(accounts_->let_listen(*IpAddress::parse("127.0.0.1"), 80));
  write("rules", "");
  EXPECT_FALSE(accounts_->let_listen(*IpAddress::parse("127.0.0.1"), 80)) << "nobody names the file any more";
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

// SPDX-License-Identifier: Apache-2.0
#include "daemon/privileged/helper_service.hpp"

#include <gtest/gtest.h>

#include "base/wire.hpp"
#include "crypto/base64.hpp"
#include "tests/support/recorded_privileges.hpp"

namespace culvert::daemon {
namespace {

class HelperServiceTest : public ::testing::Test {
 protected:
  HelperServiceTest() {
    const auto key = crypto::PrivateKey::generate_ed25519().public_key();
    own_.files["keys"] =
        "permitlisten=\"localhost:25\" ssh-ed25519 " + crypto::base64_encode(key.blob()) + "\n";
    own_.files["rules"] =
        "[[user]]\nname = \"ann\"\nauthorized_keys = \"/ann\"\nlisten = [\"192.0.2.7:80\", "
        "\"!192.0.2.7:81\"]\n"
        "[user.key.\"SHA256:" +
        std::string(43, 'A') + "\"]\nlisten = [\"443\"]\n";
    plan_.options.keys = {{"", "keys"}};
    plan_.options.rules_file = "rules";
    plan_.options.revoked_keys = {"revoked"};
    own_.files["revoked"] = "";
    plan_.options.host_certificate_files = {"certificate"};
    plan_.listen = {{relay::HostPort{"*", 22}}, {relay::HostPort{"192.0.2.1", 23}}};
    start();
  }

  void start() {
    auto accounts = server::Accounts::load(plan_.options, own_);
    ASSERT_TRUE(accounts) << accounts.error().message;
    accounts_ = std::move(*accounts);
    service_.emplace(plan_, own_, *accounts_);
    own_.opened.clear();
  }

  bool opens(const std::string& path) {
    own_.opened.clear();
    own_.files.try_emplace(path, "");
    const auto answer = service_->answer(helper::encode(helper::OpenRequest{path}));
    const bool done = helper::decode_reply(answer.reply).has_value();
    EXPECT_EQ(done, static_cast<bool>(answer.descriptor));
    EXPECT_EQ(done, std::ranges::find(own_.opened, path) != own_.opened.end());
    return done;
  }
  bool binds(const char* address, std::uint16_t port) {
    own_.bound.clear();
    const auto answer =
        service_->answer(helper::encode(helper::BindRequest{*IpAddress::parse(address), 0, port}));
    const bool done = helper::decode_reply(answer.reply).has_value();
    EXPECT_EQ(done, static_cast<bool>(answer.descriptor));
    EXPECT_EQ(done, own_.bound.size() == 1 && own_.bound.front().port() == port &&
                        own_.bound.front().address().to_string() == address);
    return done;
  }
  bool signs(Bytes message, std::uint32_t key = 0) {
    const auto answer =
        service_->answer(helper::encode(helper::SignRequest{key, "ssh-ed25519", std::move(message)}));
    return helper::decode_reply(answer.reply).has_value();
  }

  testing::RecordedPrivileges own_;
  ServerPlan plan_;
  std::unique_ptr<server::Accounts> accounts_;
  std::optional<HelperService> service_;
};

TEST_F(HelperServiceTest, OpensWhatOptionsAndRulesName) {
  for (const char* path : {"keys", "rules", "/ann", "certificate", "revoked"})
    EXPECT_TRUE(opens(path)) << path;
  for (const char* path : {"/etc/shadow", "./keys", "keys/", "host_key", "Keys"})
    EXPECT_FALSE(opens(path)) << path;
}

TEST_F(HelperServiceTest, BindsWhereThePlanListens) {
  EXPECT_TRUE(binds("0.0.0.0", 22));
  EXPECT_TRUE(binds("::", 22));
  EXPECT_FALSE(binds("192.0.2.1", 22)) << "every address at once, not one of them";
  EXPECT_TRUE(binds("192.0.2.1", 23));
  EXPECT_FALSE(binds("192.0.2.2", 23));
  EXPECT_FALSE(binds("0.0.0.0", 24));
}

TEST_F(HelperServiceTest, BindsWhereSomebodyMayListen) {
  EXPECT_TRUE(binds("192.0.2.7", 80));
  EXPECT_FALSE(binds("192.0.2.8", 80));
  EXPECT_FALSE(binds("0.0.0.0", 80));
  EXPECT_FALSE(binds("192.0.2.7", 81));
  EXPECT_TRUE(binds("127.0.0.1", 443)) << "a key's own rule";
  EXPECT_TRUE(binds("127.0.0.1", 25)) << "a permitlisten";
  EXPECT_FALSE(binds("127.0.0.1", 0));
  plan_.options.allow_all = true;
  start();
  EXPECT_TRUE(binds("192.0.2.8", 81));
}

TEST_F(HelperServiceTest, SignsWhatAServerSigns) {
  for (const std::size_t length : {32, 48, 64}) EXPECT_TRUE(signs(Bytes(length))) << length;
  Bytes proof;
  Writer(proof).text("hostkeys-prove-00@openssh.com").text("session").text("key");
  EXPECT_TRUE(signs(proof));
  EXPECT_FALSE(signs(Bytes(32), 1)) << "no such key";
  const auto done = own_.signed_messages.size();
  Bytes login;
  Writer(login).text("session").byte(50).text("root").text("ssh-connection").text("publickey");
  Bytes file = copy_of(as_bytes("SSHSIG"));
  Writer(file).text("file").text("").text("sha256").string(Bytes(32));
  ASSERT_EQ(file.size(), 64u);
  for (const Bytes& message : {login, file, Bytes(), Bytes(31), Bytes(65)}) EXPECT_FALSE(signs(message));
  EXPECT_EQ(own_.signed_messages.size(), done);
}

TEST_F(HelperServiceTest, RefusesWhatIsNoRequest) {
  const auto answer = service_->answer(Bytes{9});
  EXPECT_EQ(helper::decode_reply(answer.reply).error().code, Errc::malformed);
  EXPECT_FALSE(answer.descriptor);
}

}  // namespace
}  // namespace culvert::daemon

// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/host_identity.hpp"

#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>

#include "base/log.hpp"
#include "crypto/base64.hpp"
#include "crypto/certificate_fixtures_test.hpp"
#include "crypto/key_fixtures_test.hpp"
#include "crypto/private_key.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/scripted_prompter.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/test_keys.hpp"

namespace culvert::tunnel {
namespace {

using testing::run;

class HostIdentityTest : public ::testing::Test {
 protected:
  HostIdentityTest() {
    (void)set_up_log(LogLevel::error, "");
    options_.host = "Web.example";
    options_.port = 2222;
    options_.host_key_policy = HostKeyPolicy::yes;
  }

  /// A command that runs this script; its arguments behind the script's own name are %I and so on.
  void command(std::string script) {
    options_.known_hosts_command = {{{"/bin/sh"}}, {{"-c"}}, {{std::move(script)}}, {{"sh"}}};
    for (const char token : {'I', 'H', 't', 'f', 'K'})
      options_.known_hosts_command.push_back({{"", token}, {}});
  }

  Result<void> check(ssh::HostKeyOffered offered) {
    HostIdentity identity(options_, prompter_, random_);
    if (auto done = run(context_, identity.prepare()); !done) return done;
    first_ = identity.known_first({})[0];
    return run(context_, identity.check(std::move(offered), "192.0.2.1"));
  }

  static ssh::HostKeyOffered plain(const crypto::PrivateKey& key = test::host_key()) {
    return {.key = key.public_key(), .algorithm = {}, .certificate = {}, .binding = {}};
  }

  [[nodiscard]] std::string file(std::string_view name) const { return folder_.path() / name; }
  [[nodiscard]] std::string content(std::string_view name) const {
    std::ifstream stream(file(name));
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  boost::asio::io_context context_{1};
  testing::TempDir folder_;
  testing::ScriptedPrompter prompter_;
  crypto::SystemRandom random_;
  ServerOptions options_;
  std::string first_;  // algorithm that was asked for
};

TEST_F(HostIdentityTest, AsksTheCommandForTheOrderAndForTheKey) {
  const auto key = plain().key;
  const auto digits = crypto::base64_encode(key.blob());
  command(fmt::format("echo \"$*\" >>{}; echo \"$2 {} {}\"", file("log"), key.type(), digits));
  const auto done = check(plain());
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(content("log"), fmt::format("ORDER Web.example NONE NONE NONE\n"
                                        "HOSTNAME [web.example]:2222 {} {} {}\n",
                                        key.type(), key.fingerprint(), digits));

  command(fmt::format("[ $1 = HOSTNAME ] || echo \"[$2]:2222 {}\"", crypto::kKeyFixtures[1].public_line));
  EXPECT_FALSE(check(plain()));
  EXPECT_EQ(first_, "ecdsa-sha2-nistp256");
}

TEST_F(HostIdentityTest, TheCommandSeesTheCertificateThatWasShown) {
  const auto certificate = *crypto::parse_certificate_line(crypto::kHostEd25519);
  command(fmt::format("echo \"$3 $4 $5\" >{}", file("log")));
  EXPECT_FALSE(check({.key = certificate.key(), .algorithm = {}, .certificate = certificate, .binding = {}}));
  EXPECT_EQ(content("log"), fmt::format("{} {} {}\n", certificate.type(), certificate.key().fingerprint(),
                                        crypto::base64_encode(certificate.blob())));
}

TEST_F(HostIdentityTest, LinesOfTheCommandCountAsOneMoreFile) {
  const auto key = plain().key;
  const auto line = [&](std::string_view mark, const crypto::PublicKey& of) {
    return fmt::format("echo '{}[web.example]:2222 {} {}'", mark, of.type(),
                       crypto::base64_encode(of.blob()));
  };
  {
    options_.user_known_hosts = {file("known_hosts")};
    std::ofstream(file("known_hosts"))
        << fmt::format("[web.example]:2222 {} {}\n", key.type(), crypto::base64_encode(key.blob()));
  }
  command("true");
  EXPECT_TRUE(check(plain())) << "the files count, too";
  command(line("@revoked ", key));
  const auto revoked = check(plain());
  ASSERT_FALSE(revoked);
  EXPECT_TRUE(revoked.error().message.ends_with("is revoked by KnownHostsCommand-HOSTNAME:1"))
      << revoked.error().message;

  options_.user_known_hosts.clear();
  command("[ $1 = HOSTNAME ] || " + line("", key));
  EXPECT_FALSE(check(plain())) << "what it said of the order is forgotten";
  command(line("", test::stranger_key().public_key()));
  const auto changed = check(plain());
  ASSERT_FALSE(changed);
  EXPECT_TRUE(changed.error().message.ends_with("has changed (KnownHostsCommand-HOSTNAME:1)"))
      << changed.error().message;
}

TEST_F(HostIdentityTest, ACommandThatFailsLetsNoKeyPass) {
  options_.host_key_policy = HostKeyPolicy::no;
  for (const std::string when : {"ORDER", "HOSTNAME"}) {
    command(fmt::format("[ $1 != {} ]", when));
    const auto failed = check(plain());
    ASSERT_FALSE(failed) << when;
    EXPECT_EQ(
        failed.error().message,
        "KnownHostsCommand failed, and without it no host key is good: /bin/sh: it ended with status 1");
  }
  options_.known_hosts_command = {{{"/nowhere"}}};
  const auto missing = check(plain());
  ASSERT_FALSE(missing);
  EXPECT_TRUE(missing.error().message.ends_with("/nowhere: No such file or directory"));
}

TEST_F(HostIdentityTest, WithoutTheFileOfRevokedKeysNoKeyIsGood) {
  options_.host_key_policy = HostKeyPolicy::no;
  options_.revoked_host_keys = file("revoked");
  const auto refused = check(plain());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::verification);
  const auto stranger = test::stranger_key().public_key();
  std::ofstream(file("revoked")) << stranger.type() << ' ' << crypto::base64_encode(stranger.blob()) << '\n';
  EXPECT_TRUE(check(plain()));
  EXPECT_FALSE(check(plain(test::stranger_key())));
}

}  // namespace
}  // namespace culvert::tunnel

// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/host_identity.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>

#include "base/log.hpp"
#include "crypto/base64.hpp"
#include "crypto/certificate_fixtures_test.hpp"
#include "crypto/key_algorithms.hpp"
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

  /// The first connection of a program.
  Result<void> check(ssh::HostKeyOffered offered) {
    accepted_ = {};
    return check_again(std::move(offered));
  }

  Result<void> check_again(ssh::HostKeyOffered offered) {
    HostIdentity identity(options_, peer_, accepted_, prompter_, random_);
    if (auto done = run(context_, identity.prepare()); !done) return done;
    first_ = identity.known_first({})[0];
    return run(context_, identity.check(std::move(offered)));
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
  std::optional<HostIdentity::Endpoint> peer_ =
      HostIdentity::Endpoint(boost::asio::ip::make_address("192.0.2.1"), 2222);
  AcceptedHost accepted_;
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

TEST_F(HostIdentityTest, AKeyThatWasAcceptedIsTheOneOfTheNextConnection) {
  const auto& stranger = test::stranger_key();
  options_.host_key_policy = HostKeyPolicy::ask;
  prompter_ = testing::ScriptedPrompter({"yes"});
  ASSERT_TRUE(check(plain()));
  EXPECT_TRUE(check_again(plain())) << "nobody is asked again";
  EXPECT_EQ(prompter_.questions.size(), 1U);
  options_.host_key_policy = HostKeyPolicy::accept_new;
  const auto other = check_again(plain(stranger));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, Errc::verification);
  EXPECT_NE(other.error().message.find("has changed since the connection before"), std::string::npos)
      << other.error().message;
  EXPECT_TRUE(check_again(plain())) << "what was refused is not remembered";

  options_.user_known_hosts = {file("known_hosts")};
  const auto write = [&](std::string_view mark, const crypto::PublicKey& key) {
    std::ofstream(file("known_hosts"))
        << fmt::format("{}[web.example]:2222 {} {}\n", mark, key.type(), crypto::base64_encode(key.blob()));
  };
  write("@revoked ", plain().key);
  EXPECT_FALSE(check_again(plain()));
  write("", stranger.public_key());
  EXPECT_TRUE(check_again(plain(stranger))) << "the files vouch for it";
  std::ofstream(file("known_hosts")).flush();
  EXPECT_TRUE(check_again(plain(stranger)));
  EXPECT_FALSE(check_again(plain())) << "that was before";
}

TEST_F(HostIdentityTest, AnAuthorityThatWasAcceptedMaySpeakAgain) {
  const auto certificate = *crypto::parse_certificate_line(crypto::kHostEcdsa256);
  const ssh::HostKeyOffered offered{
      .key = certificate.key(), .algorithm = {}, .certificate = certificate, .binding = {}};
  options_.host = "web.example.org";
  accepted_ = {test::stranger_key().public_key(), std::nullopt};
  EXPECT_FALSE(check_again(offered));
  accepted_.authority = certificate.authority();
  EXPECT_TRUE(check_again(offered)) << "its key may be another one";
  EXPECT_TRUE(crypto::is_certificate_algorithm(first_));
  options_.host = "other.example.org";
  accepted_.key = test::stranger_key().public_key();
  EXPECT_FALSE(check_again(offered)) << "for this host it does not count";
}

TEST_F(HostIdentityTest, AnAcceptedKeyIsAskedForFirst) {
  accepted_.key = crypto::parse_public_key_line(crypto::kKeyFixtures[1].public_line).value();
  EXPECT_FALSE(check_again(plain()));
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
        "KnownHostsCommand failed, and without it no host key is good: /bin/sh: it exited with status 1");
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

/// With CheckHostIP, and a file of known hosts.
class HostAddressTest : public HostIdentityTest {
 protected:
  HostAddressTest() {
    options_.check_address = true;
    options_.user_known_hosts = {file("known_hosts")};
  }

  static std::string line(std::string_view names, const crypto::PrivateKey& key = test::host_key()) {
    const auto& of = key.public_key();
    return fmt::format("{} {} {}\n", names, of.type(), crypto::base64_encode(of.blob()));
  }
  void known(const std::string& lines) { std::ofstream(file("known_hosts")) << lines; }
  [[nodiscard]] std::string known() const { return content("known_hosts"); }
  [[nodiscard]] std::string refusal() {
    const auto refused = check(plain());
    if (refused) return "it is good";
    EXPECT_EQ(refused.error().code, Errc::verification);
    return refused.error().message;
  }
  static constexpr std::string_view kHost = "[web.example]:2222", kAddress = "[192.0.2.1]:2222";
};

TEST_F(HostAddressTest, IsLearnedWhateverTheRestOfThePolicyIs) {
  const std::string both = fmt::format("{},{}", kHost, kAddress);
  for (const auto policy :
       {HostKeyPolicy::yes, HostKeyPolicy::accept_new, HostKeyPolicy::ask, HostKeyPolicy::no}) {
    options_.host_key_policy = policy;
    known(line(kHost));
    for (int round = 0; round < 2; ++round) {
      EXPECT_TRUE(check(plain()));
      EXPECT_EQ(known(), line(kHost) + line(kAddress));
    }
    known("");
    prompter_ = testing::ScriptedPrompter({"yes"});
    EXPECT_EQ(check(plain()).has_value(), policy != HostKeyPolicy::yes);
    EXPECT_EQ(known(), policy == HostKeyPolicy::yes ? "" : line(both));
    EXPECT_EQ(prompter_.questions.size(), policy == HostKeyPolicy::ask ? 1U : 0U);
  }
}

TEST_F(HostAddressTest, IsHashedOnALineOfItsOwn) {
  options_.host_key_policy = HostKeyPolicy::accept_new;
  options_.hash_known_hosts = true;
  EXPECT_TRUE(check(plain()));
  EXPECT_EQ(std::ranges::count(known(), '\n'), 2);
  EXPECT_TRUE(check(plain()));
  EXPECT_EQ(std::ranges::count(known(), '\n'), 2) << "both are found again";
}

TEST_F(HostAddressTest, OneThatIsKnownByAnotherKeyIsRefusedOrAskedAbout) {
  const auto lines = line(kHost) + line(kAddress, test::stranger_key());
  known(lines);
  for (const auto policy : {HostKeyPolicy::yes, HostKeyPolicy::accept_new}) {
    options_.host_key_policy = policy;
    EXPECT_NE(refusal().find(
                  fmt::format("differs from that of its address {} ({}:2)", kAddress, file("known_hosts"))),
              std::string::npos)
        << refusal();
  }
  options_.host_key_policy = HostKeyPolicy::no;
  EXPECT_TRUE(check(plain()));

  options_.host_key_policy = HostKeyPolicy::ask;
  for (const auto* answer : {"no", "yes", "SHA256:of-no-key"}) {
    prompter_ = testing::ScriptedPrompter({answer});
    EXPECT_EQ(check(plain()).has_value(), answer == std::string("yes")) << answer;
    EXPECT_TRUE(prompter_.questions.at(0).ends_with(
        fmt::format("\nMatching host key in {}:1\nAre you sure you want to continue connecting (yes/no)? ",
                    file("known_hosts"))));
  }
  options_.batch = true;
  EXPECT_FALSE(check(plain()));
  EXPECT_EQ(known(), lines);
}

TEST_F(HostAddressTest, NothingIsLearnedOfAHostWhoseAddressIsRefused) {
  const auto lines = line(kAddress, test::stranger_key());
  known(lines);
  options_.host_key_policy = HostKeyPolicy::accept_new;
  EXPECT_FALSE(check(plain()));
  EXPECT_EQ(known(), lines);
  options_.host_key_policy = HostKeyPolicy::no;
  EXPECT_TRUE(check(plain()));
  EXPECT_EQ(known(), lines + line(kHost));
}

TEST_F(HostAddressTest, AKeyThatIsRevokedForItIsNoGood) {
  options_.host_key_policy = HostKeyPolicy::no;
  known(line(kHost) + line(fmt::format("@revoked {}", kAddress)));
  EXPECT_TRUE(refusal().ends_with("is revoked by " + file("known_hosts") + ":2")) << refusal();
}

TEST_F(HostAddressTest, IsNotLearnedWhileAFileCannotBeRead) {
  known(line(kHost));
  options_.global_known_hosts = {folder_.path()};
  EXPECT_TRUE(check(plain()));
  EXPECT_EQ(known(), line(kHost));
}

TEST_F(HostAddressTest, IsNotLookedAtWhereItSaysNothing) {
  const auto lines = line(kHost) + line("[127.0.0.7]:2222,[192.0.2.1]:2222", test::stranger_key());
  known(lines);
  EXPECT_FALSE(check(plain()));
  const auto is_passed_over = [&] { return check(plain()).has_value() && known() == lines; };
  peer_->address(boost::asio::ip::make_address("127.0.0.7"));
  EXPECT_TRUE(is_passed_over());
  peer_->address(boost::asio::ip::make_address("192.0.2.1"));
  options_.way = ProxyCommand{"connect", true};
  EXPECT_TRUE(is_passed_over());
  options_.way = {};
  options_.check_address = false;
  EXPECT_TRUE(is_passed_over());
  options_.check_address = true;
  peer_ = std::nullopt;
  EXPECT_TRUE(is_passed_over());

  peer_ = HostIdentity::Endpoint(boost::asio::ip::make_address("192.0.2.1"), 2222);
  options_.host = "192.0.2.1";
  options_.host_key_alias = "web.example";
  known(line("web.example"));
  EXPECT_TRUE(check(plain()));
  EXPECT_EQ(known(), line("web.example")) << "the name is the address";
}

TEST_F(HostAddressTest, TheCommandIsAskedAboutItToo) {
  const auto key = plain().key;
  const auto digits = crypto::base64_encode(key.blob());
  command(fmt::format("echo \"$*\" >>{}; echo \"$2 {} {}\"", file("log"), key.type(), digits));
  ASSERT_TRUE(check(plain()));
  EXPECT_EQ(content("log"), fmt::format("ORDER Web.example NONE NONE NONE\n"
                                        "HOSTNAME {0} {2} {3} {4}\n"
                                        "ADDRESS {1} {2} {3} {4}\n",
                                        kHost, kAddress, key.type(), key.fingerprint(), digits));
  EXPECT_EQ(known(), "") << "it knows both";

  // Each question has its own lines: what it says of the name is nothing for the address, and the reverse.
  command(fmt::format("[ $1 = HOSTNAME ] && echo '{} {} {}' || echo '{}'", kHost, key.type(), digits,
                      fmt::format("{} {}", kAddress, crypto::kKeyFixtures[0].public_line)));
  EXPECT_NE(refusal().find("(KnownHostsCommand-ADDRESS:1)"), std::string::npos) << refusal();
  command("[ $1 != ADDRESS ]");
  EXPECT_TRUE(check(plain()).error().message.starts_with("KnownHostsCommand failed"));
}

}  // namespace
}  // namespace culvert::tunnel

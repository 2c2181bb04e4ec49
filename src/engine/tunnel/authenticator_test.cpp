// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/authenticator.hpp"

#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>

#include "base/log.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/scripted_prompter.hpp"
#include "tests/support/temp_dir.hpp"

namespace culvert::tunnel {
namespace {

using testing::run;

struct Added {
  std::string fingerprint, comment;
  ssh::AgentConstraints constraints;
};

/// Holds nothing, and says what it was given.
class EmptyAgent final : public Agent {
 public:
  explicit EmptyAgent(std::vector<Added>& added) : added_(added) {}

  relay::Task<Result<std::vector<ssh::AgentIdentity>>> list() override {
    co_return std::vector<ssh::AgentIdentity>();
  }
  relay::Task<Result<Bytes>> sign(ssh::AgentIdentity, std::string, Bytes) override {
    co_return fail(Errc::denied, "there is no such key");
  }
  relay::Task<Result<void>> bind(ssh::SessionBinding) override { co_return Result<void>(); }
  relay::Task<Result<void>> add(crypto::PrivateKey key, std::string comment,
                                ssh::AgentConstraints constraints) override {
    added_.push_back({key.public_key().fingerprint(), std::move(comment), constraints});
    co_return Result<void>();
  }

 private:
  std::vector<Added>& added_;
};

class AuthenticatorTest : public ::testing::Test {
 protected:
  AuthenticatorTest() {
    (void)set_up_log(LogLevel::error, "");
    const auto command = "ssh-keygen -q -t ed25519 -N '' -C 'of ann' -f " + path_;
    if (std::system(command.c_str()) != 0) throw std::runtime_error("ssh-keygen does not run");
    options_.identity_files = {path_};
  }

  // A login with the key of the file, at a server that takes it or does not: whether it was signed with.
  bool log_in(bool is_taken = true) {
    Authenticator authenticator(options_, identities_, std::make_unique<EmptyAgent>(added_), prompter_);
    authenticator.prepare();
    run(io_, authenticator.enter({}));
    const auto attempt = run(io_, authenticator.next({}));
    const auto* offered = attempt ? std::get_if<TryKey>(&*attempt) : nullptr;
    if (offered == nullptr) throw std::runtime_error("no key is offered");
    const bool is_locked = !identities_.files().at(0)->unlock();
    EXPECT_EQ(offered->ask_first, is_locked || options_.add_keys != AddKeys::no);
    if (!is_taken) return false;
    return run(io_, authenticator.sign({offered->key, offered->algorithm, Bytes(8)})).has_value();
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.path() / "id";
  boost::asio::io_context io_;
  ServerOptions options_;
  Identities identities_;
  testing::ScriptedPrompter prompter_;
  std::vector<Added> added_;
};

TEST_F(AuthenticatorTest, KeysAreAddedToTheAgentAsTheOptionSays) {
  struct Row {
    AddKeys choice;
    std::chrono::seconds lifetime;
    bool is_added, confirms;
  };
  const Row rows[] = {
      {AddKeys::no, {}, false, false},
      {AddKeys::yes, {}, true, false},
      {AddKeys::yes, std::chrono::seconds(300), true, false},
      {AddKeys::confirm, {}, true, true},
      {AddKeys::confirm, std::chrono::seconds(60), true, true},
  };
  for (const auto& row : rows) {
    added_.clear();
    identities_ = Identities();
    options_.add_keys = row.choice;
    options_.add_keys_lifetime = row.lifetime;
    EXPECT_TRUE(log_in());
    ASSERT_EQ(added_.size(), row.is_added ? 1U : 0U);
    if (!row.is_added) continue;
    EXPECT_EQ(added_[0].fingerprint, identities_.files().at(0)->public_key()->fingerprint());
    EXPECT_EQ(added_[0].comment, "of ann");
    EXPECT_EQ(added_[0].constraints.lifetime, row.lifetime);
    EXPECT_EQ(added_[0].constraints.confirm, row.confirms);
  }
  EXPECT_TRUE(prompter_.questions.empty());
}

TEST_F(AuthenticatorTest, AKeyThatNoServerTakesIsNotAdded) {
  options_.add_keys = AddKeys::yes;
  EXPECT_FALSE(log_in(false));
  EXPECT_TRUE(added_.empty());
}

TEST_F(AuthenticatorTest, WhetherAKeyIsAddedCanBeAsked) {
  options_.add_keys = AddKeys::ask;
  for (const auto* answer : {"no", "yes"}) {
    identities_ = Identities();
    prompter_ = testing::ScriptedPrompter({answer});
    EXPECT_TRUE(log_in());
    EXPECT_EQ(prompter_.questions, std::vector<std::string>{"Add key " + path_ + " (of ann) to agent?"});
    EXPECT_EQ(added_.size(), answer == std::string("yes") ? 1U : 0U) << answer;
    // The next login of the same program does not ask again, whatever the answer was.
    EXPECT_TRUE(log_in());
    EXPECT_EQ(prompter_.questions.size(), 1U);
  }
  EXPECT_FALSE(added_.at(0).constraints.confirm);
}

TEST_F(AuthenticatorTest, ALockedKeyIsToldOfOnceWhereNobodyCanBeAsked) {
  ASSERT_EQ(std::system(("ssh-keygen -q -p -N secret -f " + path_).c_str()), 0);
  prompter_ = testing::ScriptedPrompter({}, false);
  const auto said = [&] {
    ::testing::internal::CaptureStderr();
    (void)set_up_log(LogLevel::notice, "");
    EXPECT_FALSE(log_in());
    (void)set_up_log(LogLevel::error, "");
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_NE(said().find("key '" + path_ +
                        "' needs a passphrase and there is nobody to ask: add it to ssh-agent, or "
                        "set SSH_ASKPASS"),
            std::string::npos);
  EXPECT_EQ(said(), "");
  identities_ = Identities();
  options_.batch = true;
  EXPECT_NE(said().find("needs a passphrase and BatchMode asks nobody"), std::string::npos);
}

TEST_F(AuthenticatorTest, APasswordThatMustBeChangedIsNoWrongOne) {
  options_.user = "ann";
  options_.host = "host";
  Authenticator authenticator(options_, identities_, nullptr, prompter_);
  ssh::AuthNext next;
  next.methods = {"password"};
  next.password_change = "It has expired.\x1b";
  const auto attempt = run(io_, authenticator.next(next));
  ASSERT_FALSE(attempt);
  EXPECT_EQ(attempt.error().code, Errc::denied);
  EXPECT_EQ(attempt.error().message,
            "ann@host: the password must be changed, which culvert cannot do: log in with ssh; the server "
            "says: It has expired.\\x1b");
  EXPECT_TRUE(prompter_.questions.empty());
}

// RFC 4256 section 3.2: a request without prompts may carry the news alone.
TEST_F(AuthenticatorTest, TextWithoutAQuestionIsShown) {
  Authenticator authenticator(options_, identities_, nullptr, prompter_);
  ::testing::internal::CaptureStderr();
  (void)set_up_log(LogLevel::notice, "");
  const auto answers =
      run(io_, authenticator.answer({"", "The account is locked\r\ndue to failed logins.", {}}));
  (void)set_up_log(LogLevel::error, "");
  const auto said = ::testing::internal::GetCapturedStderr();
  ASSERT_TRUE(answers);
  EXPECT_TRUE(answers->empty());
  EXPECT_NE(said.find("The account is locked\n"), std::string::npos) << said;
  EXPECT_NE(said.find("due to failed logins.\n"), std::string::npos) << said;
  EXPECT_TRUE(prompter_.questions.empty());
}

TEST_F(AuthenticatorTest, AnAgentThatHangsIsWaitedForOnce) {
  class Hanging final : public Agent {
   public:
    explicit Hanging(int& asked) : asked_(asked) {}
    relay::Task<Result<std::vector<ssh::AgentIdentity>>> list() override {
      ++asked_;
      co_return fail(Errc::timed_out, "no answer");
    }
    relay::Task<Result<Bytes>> sign(ssh::AgentIdentity, std::string, Bytes) override {
      co_return fail(Errc::timed_out, "no answer");
    }
    relay::Task<Result<void>> bind(ssh::SessionBinding) override {
      ++asked_;
      co_return fail(Errc::timed_out, "no answer");
    }
    relay::Task<Result<void>> add(crypto::PrivateKey, std::string, ssh::AgentConstraints) override {
      co_return fail(Errc::timed_out, "no answer");
    }

   private:
    int& asked_;
  };
  int asked = 0;
  Authenticator authenticator(options_, identities_, std::make_unique<Hanging>(asked), prompter_);
  authenticator.prepare();
  run(io_, authenticator.enter({}));
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(run(io_, authenticator.next({})));  // the file's key
}

TEST_F(AuthenticatorTest, NobodyIsAskedInBatches) {
  options_.add_keys = AddKeys::ask;
  options_.batch = true;
  prompter_ = testing::ScriptedPrompter({"yes"});
  EXPECT_TRUE(log_in());
  EXPECT_TRUE(prompter_.questions.empty());
  EXPECT_TRUE(added_.empty());
}

}  // namespace
}  // namespace culvert::tunnel

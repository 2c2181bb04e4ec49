// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "engine/tunnel/prompter.hpp"

namespace culvert::testing {

/// Answers with what was prepared, and remembers what it was asked. Without answers left: the user gives up.
class ScriptedPrompter final : public tunnel::Prompter {
 public:
  explicit ScriptedPrompter(std::deque<std::string> answers = {}, bool available = true)
      : answers_(std::move(answers)), available_(available) {}

  [[nodiscard]] bool available() const override { return available_; }
  [[nodiscard]] relay::Task<Result<SecretBytes>> ask(std::string text, bool echo) override {
    questions.push_back((echo ? "" : "(hidden) ") + text);
    if (!available_) co_return fail(Errc::not_found, "nobody can be asked");
    if (answers_.empty()) co_return fail(Errc::cancelled, "cancelled");
    SecretBytes answer(answers_.front());
    answers_.pop_front();
    co_return answer;
  }
  [[nodiscard]] relay::Task<bool> confirm(std::string text) override {
    const auto answer = co_await ask(std::move(text), true);
    co_return answer && answer->text() == "yes";
  }

  std::vector<std::string> questions;

 private:
  std::deque<std::string> answers_;
  bool available_;
};

}  // namespace culvert::testing

// SPDX-License-Identifier: Apache-2.0
#include "cli/prompt_choice.hpp"

#include <cstdlib>
#include <string_view>
#include <utility>

#include "base/log.hpp"
#include "cli/values.hpp"

namespace culvert::cli {
namespace {

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

AskpassEnvironment::Require as_require(std::string_view word) {
  using enum AskpassEnvironment::Require;
  if (equal_ignoring_case(word, "never")) return never;
  if (equal_ignoring_case(word, "prefer")) return prefer;
  if (equal_ignoring_case(word, "force")) return force;
  return unset;
}

}  // namespace

AskpassEnvironment read_askpass_environment() {
  AskpassEnvironment environment;
  if (const char* program = std::getenv("SSH_ASKPASS")) environment.program = program;
  environment.require = as_require(variable("SSH_ASKPASS_REQUIRE"));
  environment.has_display = !variable("DISPLAY").empty() || !variable("WAYLAND_DISPLAY").empty();
  return environment;
}

bool may_run_program(const AskpassEnvironment& environment) {
  using enum AskpassEnvironment::Require;
  if (environment.program.empty() || environment.require == never) return false;
  return environment.has_display || environment.require == force;
}

AskWhere choose(const AskpassEnvironment& environment, bool has_terminal) {
  using enum AskpassEnvironment::Require;
  const bool comes_first = environment.require == force || environment.require == prefer;
  if (may_run_program(environment) && (comes_first || !has_terminal)) return AskWhere::by_askpass;
  return has_terminal ? AskWhere::on_terminal : AskWhere::nowhere;
}

ChoosingPrompter::ChoosingPrompter(bool may_ask, AskpassEnvironment environment)
    : may_ask_(may_ask),
      environment_(std::move(environment)),
      terminal_(may_ask),
      askpass_(environment_.program) {}

bool ChoosingPrompter::available() const {
  if (!may_ask_) return false;
  const bool has_terminal = terminal_.available();
  return choose(environment_, has_terminal) == AskWhere::by_askpass ? askpass_.available() : has_terminal;
}

// Where nobody can be asked the terminal says so.
tunnel::Prompter& ChoosingPrompter::chosen() {
  if (may_ask_ && choose(environment_, terminal_.available()) == AskWhere::by_askpass) return askpass_;
  return terminal_;
}

relay::Task<Result<SecretBytes>> ChoosingPrompter::ask(std::string text, bool echo) {
  return chosen().ask(std::move(text), echo);
}

relay::Task<bool> ChoosingPrompter::confirm(std::string text) {
  if (may_ask_ && may_run_program(environment_) && askpass_.available())
    co_return co_await askpass_.confirm(std::move(text));
  log(LogLevel::verbose, "no program may ask (SSH_ASKPASS), so it is a no: {}", text);
  co_return false;
}

}  // namespace culvert::cli

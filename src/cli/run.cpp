// SPDX-License-Identifier: Apache-2.0
#include "cli/run.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>

#include "base/log.hpp"
#include "base/text.hpp"
#include "cli/background.hpp"
#include "cli/exit_status.hpp"
#include "cli/help.hpp"
#include "cli/map.hpp"
#include "cli/missing_identities.hpp"
#include "cli/open.hpp"
#include "cli/options.hpp"
#include "cli/plan_builder.hpp"
#include "cli/process.hpp"
#include "cli/prompt_choice.hpp"
#include "cli/resolve.hpp"
#include "cli/serve.hpp"
#include "cli/show_config.hpp"
#include "cli/terminal_prompter.hpp"
#include "daemon/service_manager.hpp"
#include "daemon/supervisor.hpp"

namespace culvert::cli {
namespace {

int complain(const Error& error) {
  log_line(LogLevel::error, "failed", error.message);
  return kFailed;
}

int print(const std::string& text) {
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (written) return kDone;
  return errno == EPIPE ? kFailed : complain(fail_errno("cannot write to standard output", errno).error());
}

// With -W only errors are for the user, unless he asked for more.
LogLevel level_for(const Settings& settings) {
  return level_of(settings.verbosity.value_or(settings.stdio ? Verbosity::error : Verbosity::info));
}

// Said here, in our words, and without making folders: a wrong path is a typing error.
Result<void> check_log_file(const std::string& path) {
  if (path.empty()) return {};
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
  if (fd < 0) return fail_errno("-E: cannot write the log file " + printable(path), errno);
  ::close(fd);
  return {};
}

int status_of(const daemon::Outcome& outcome) {
  switch (outcome.end) {
    case daemon::Outcome::End::finished:
      return kDone;
    case daemon::Outcome::End::stopped:
      return outcome.was_ready ? kDone : kSignalBase + outcome.signal;
    case daemon::Outcome::End::failed:
      break;
  }
  return kFailed;
}

// Options and files together.
class Configuration {
 public:
  explicit Configuration(std::optional<std::string> file)
      : environment_(read_environment()), files_(config_files(environment_, std::move(file))) {}

  Result<Settings> settings(Settings given) {
    return resolve_settings(std::move(given), files_, environment_, machine_);
  }
  Result<daemon::Plan> plan(const Settings& settings) {
    return build_plan(settings, environment_, [this](const Destination& hop) {
      return resolve_hop(hop, files_, environment_, machine_);
    });
  }
  [[nodiscard]] Result<std::string> shown(const Settings& settings) const {
    return show_config(settings, environment_);
  }

 private:
  Environment environment_;
  ConfigFiles files_;
  ThisMachine machine_;
};

/// The commands besides the SSH client.
struct Subcommand {
  std::string_view name;
  Result<void> (*read)(std::span<const std::string_view> arguments, const Environment& environment,
                       SubcommandLine& line);
};
constexpr Subcommand kSubcommands[] = {
    {"serve", read_serve_line}, {"map", read_map_line}, {"proxy", read_proxy_line}, {"open", read_open_line}};

int run_subcommand(const Subcommand& command, std::span<const std::string_view> arguments) {
  SubcommandLine line;
  const auto read = command.read(arguments, read_environment(), line);
  // What is wrong with the options is said on standard error, and in the form that they ask for.
  (void)set_up_log(line.log_level, "", line.log_format);
  if (!read) return complain(read.error());
  if (line.answer) return print(*line.answer);
  if (const auto done = check_log_file(line.log_file); !done) return complain(done.error());
  if (const auto done = set_up_log(line.log_level, line.log_file, line.log_format); !done)
    return complain(done.error());
  auto manager = daemon::ServiceManager::from_environment();
  if (!manager) {
    log(LogLevel::warning, "{}", manager.error().message);
    manager.emplace();
  }
  TerminalPrompter nobody(false);
  return status_of(daemon::run(line.plan, nobody, *manager, {}));
}

int forward(const Settings& settings, Configuration& configuration) {
  const bool goes_to_background = settings.background.value_or(false);
  if (goes_to_background && settings.stdio) {
    return complain(
        {Errc::usage, "-f and -W do not go together: the stream of -W is standard input and output"});
  }
  const auto plan = configuration.plan(settings);
  if (!plan) return complain(plan.error());
  if (const auto done = check_log_file(settings.log_file); !done) return complain(done.error());
  if (const auto done = set_up_log(level_for(settings), settings.log_file); !done)
    return complain(done.error());
  for (const std::string& note : settings.notes) log(LogLevel::verbose, "{}", note);
  if (settings.no_input.value_or(false)) drop_standard_input();

  auto manager = daemon::ServiceManager::from_environment();
  if (!manager) {
    log(LogLevel::warning, "{}", manager.error().message);
    manager.emplace();
  }
  std::optional<Background> background;
  if (goes_to_background) {
    auto child = Background::fork();
    if (!child) return complain(child.error());
    background.emplace(std::move(*child));
  }
  daemon::Hooks hooks;
  hooks.last_words = restore_terminal;
  hooks.on_ready = [&background] {
    if (background) background->ready();
  };
  ChoosingPrompter prompter(!settings.batch.value_or(false), read_askpass_environment());
  return status_of(daemon::run(*plan, prompter, *manager, hooks));
}

}  // namespace

int run(std::span<const std::string_view> arguments) {
  prepare_process(arguments);
  if (arguments.empty()) {
    const std::string help = help_text();
    std::fwrite(help.data(), 1, help.size(), stderr);
    return kFailed;
  }
  for (const Subcommand& command : kSubcommands) {
    if (arguments[0] == command.name) return run_subcommand(command, arguments.subspan(1));
  }
  auto line = read_command_line(arguments);
  if (!line) return complain(line.error());
  switch (line->action) {
    case Action::help:
      return print(help_text());
    case Action::version:
      return print(version_text());
    case Action::query: {
      const auto text = query_text(line->query);
      return text ? print(*text) : complain(text.error());
    }
    case Action::run:
      break;
  }
  for (const std::string& warning : drop_missing_identities(*line, read_environment().home))
    log(LogLevel::warning, "{}", warning);
  Configuration configuration(line->config_file);
  const auto settings = configuration.settings(line->settings);
  if (!settings) return complain(settings.error());
  if (!line->shows_configuration) return forward(*settings, configuration);
  const auto text = configuration.shown(*settings);
  return text ? print(*text) : complain(text.error());
}

}  // namespace culvert::cli

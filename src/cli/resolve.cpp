// SPDX-License-Identifier: Apache-2.0
#include "cli/resolve.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/canonical_host.hpp"
#include "cli/expand.hpp"
#include "cli/host_tokens.hpp"
#include "cli/keywords.hpp"
#include "cli/plan_builder.hpp"
#include "cli/values.hpp"
#include "files/config_file.hpp"
#include "files/ssh_config.hpp"

namespace culvert::cli {
namespace {

using files::OwnerCheck;

// HostName, in which %h is the host as given.
Result<std::string> expand_host_name(const std::string& host_name, const std::string& host) {
  const std::array<Token, 1> token = {{{'h', host}}};
  auto name = expand_tokens(host_name, token);
  if (!name) return fail(Errc::usage, "HostName: " + name.error().message);
  TRY(check_host_name(*name));
  return name;
}

// Lines become settings, if they are for this host.
class Hooks final : public files::ConfigHooks {
 public:
  Hooks(Settings& settings, const Environment& environment, Machine& machine, OwnerCheck check)
      : settings_(settings), environment_(environment), machine_(machine), check_(check) {}

  Result<void> apply(const files::ConfigLine& line, bool active) override {
    return apply_config_line(active ? settings_ : others_, line.keyword, line.rest,
                             settings_.ignored_keywords);
  }

  files::MatchFacts facts() override {
    return {.host = host(),
            .original_host = settings_.host.value_or(""),
            .user = settings_.user.value_or(environment_.user),
            .local_user = environment_.user,
            .tag = settings_.tag.value_or(""),
            .version = "culvert_" CULVERT_VERSION};
  }

  Result<bool> succeeds(std::string_view command) override {
    const std::string expanded = TRY(expand_tokens(command, host_tokens(settings_, environment_, host())));
    return machine_.succeeds(expanded);
  }
  Result<bool> has_address_in(std::string_view networks) override {
    return machine_.has_address_in(networks);
  }

  Result<std::vector<std::string>> find_files(const std::string& pattern) override {
    return files::find_config_files(pattern);
  }
  Result<std::string> read_file(const std::string& path) override {
    return files::read_config_file(path, check_);
  }
  void report(std::string_view error) override { machine_.report(error); }

 private:
  [[nodiscard]] std::string host() const {
    const std::string given = settings_.host.value_or("");
    if (!settings_.host_name) return given;
    return expand_host_name(*settings_.host_name, given).value_or(*settings_.host_name);
  }

  Settings& settings_;
  Settings others_;  // what is for other hosts is only checked
  const Environment& environment_;
  Machine& machine_;
  OwnerCheck check_;
};

class Resolver {
 public:
  Resolver(Settings settings, const ConfigFiles& files, const Environment& environment, Machine& machine)
      : settings_(std::move(settings)), files_(files), environment_(environment), machine_(machine) {}

  Result<Settings> run() {
    const std::string given = settings_.host.value_or("");
    bool again = TRY(read_files(given, false));
    std::string host = given;
    if (settings_.host_name) host = TRY(expand_host_name(*settings_.host_name, given));
    host = TRY(canonical_host(std::move(host), settings_, machine_));
    settings_.host_name = host;
    again = again || settings_.canonicalize.value_or(Canonicalize::no) != Canonicalize::no;
    if (again) TRY(read_files(host, true));
    return std::move(settings_);
  }

 private:
  // Whether a `Match final` wants them to be read again.
  Result<bool> read_files(const std::string& host, bool final_pass) {
    if (files_.chosen) {
      if (equal_ignoring_case(*files_.chosen, "none")) return false;
      auto text = files::read_config_file(*files_.chosen, OwnerCheck::skip);
      if (!text) return fail(Errc::usage, "-F: " + text.error().message);
      return read(*files_.chosen, *text, OwnerCheck::skip, files_.user_folder, true, host, final_pass);
    }
    bool again = false;
    for (const bool is_user : {true, false}) {
      const std::string& path = is_user ? files_.user : files_.system;
      const OwnerCheck check = is_user ? OwnerCheck::required : OwnerCheck::skip;
      const auto text = files::read_config_file(path, check);
      if (!text && text.error().code == Errc::verification) return std::unexpected(text.error());
      if (!text) {
        if (text.error().code != Errc::not_found && !final_pass) machine_.report(text.error().message);
        continue;
      }
      const std::string& folder = is_user ? files_.user_folder : files_.system_folder;
      again = TRY(read(path, *text, check, folder, is_user, host, final_pass)) || again;
    }
    return again;
  }

  Result<bool> read(const std::string& path, const std::string& text, OwnerCheck check,
                    const std::string& folder, bool is_user, const std::string& host, bool final_pass) {
    Hooks hooks(settings_, environment_, machine_, check);
    return files::read_config(
        path, text,
        {.host = host, .include_folder = folder, .home_allowed = is_user, .final_pass = final_pass}, hooks);
  }

  Settings settings_;
  const ConfigFiles& files_;
  const Environment& environment_;
  Machine& machine_;
};

}  // namespace

ConfigFiles config_files(const Environment& environment, std::optional<std::string> chosen) {
  const std::string folder = environment.home + "/.ssh";
  return {.chosen = std::move(chosen),
          .user = folder + "/config",
          .system = "/etc/ssh/ssh_config",
          .user_folder = folder,
          .system_folder = "/etc/ssh"};
}

Result<Settings> resolve_settings(Settings given, const ConfigFiles& files, const Environment& environment,
                                  Machine& machine) {
  return Resolver(std::move(given), files, environment, machine).run();
}

Result<Settings> resolve_hop(const Destination& hop, const ConfigFiles& files, const Environment& environment,
                             Machine& machine) {
  auto settings = resolve_settings(TRY(plain_hop(hop)), files, environment, machine);
  if (!settings)
    return fail(settings.error().code,
                fmt::format("jump host {}: {}", printable(hop.host), settings.error().message));
  return settings;
}

}  // namespace culvert::cli

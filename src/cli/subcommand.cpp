// SPDX-License-Identifier: Apache-2.0
#include "cli/subcommand.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "base/text.hpp"

namespace culvert::cli {

SubcommandReader::SubcommandReader(CLI::App& app, SubcommandLine& line) : app_(app), line_(line) {
  app.set_help_flag("-h,--help", "Print this");
  app.add_option("-E,--log-file", line.log_file, "append the log to it");
  app.add_option("--log-format", log_format_, "text, or json: an object a line (text)")
      ->check(CLI::IsMember({"text", "json"}))
      ->type_name("text|json");
  app.add_flag("-v", verbose_, "print more; up to -vvv");
  app.add_flag("-q", quiet_, "print errors alone");
}

Result<bool> SubcommandReader::read(std::span<const std::string_view> arguments) {
  std::vector<std::string> words(arguments.rbegin(), arguments.rend());  // as CLI11 wants them
  try {
    app_.parse(words);
  } catch (const CLI::CallForHelp&) {
    line_.answer = app_.help();
    return false;
  } catch (const CLI::ParseError& error) {
    const std::string command = app_.get_name().substr(app_.get_name().find(' ') + 1);
    return fail(Errc::usage,
                fmt::format("{}: {} (see {} --help)", command, printable(error.what()), app_.get_name()));
  }
  if (log_format_ == "json") line_.log_format = LogFormat::json;
  if (quiet_) line_.log_level = LogLevel::error;
  if (verbose_ > 0)
    line_.log_level = static_cast<LogLevel>(
        std::min(static_cast<int>(LogLevel::notice) + verbose_, static_cast<int>(LogLevel::trace)));
  return true;
}

CLI::Option* add_repeated(CLI::App& app, const std::string& names, std::vector<std::string>& values,
                          const std::string& text) {
  return app.add_option(names, values, text + "; may be repeated")->allow_extra_args(false);
}

Result<std::vector<IpNetwork>> networks_of(std::string_view option, std::span<const std::string> texts) {
  std::vector<IpNetwork> networks;
  for (const std::string& text : texts) {
    const auto network = IpNetwork::parse(text);
    if (!network) return in_option(option, network.error());
    networks.push_back(*network);
  }
  return networks;
}

void add_privilege_options(CLI::App& app, daemon::Plan& plan) {
  app.add_option("--user", plan.account, "started as root: the account to run as (culvert, or else nobody)");
  app.add_flag("!--no-sandbox", plan.sandbox, "do not refuse the system calls that it does not need");
}

void add_open_gateway(CLI::App& app, bool& opens) {
  app.add_flag(
      "--open-gateway", opens,
      "have the home router lead to those ports, as culvert open does; what listens on this machine alone "
      "stays closed");
}

std::unexpected<Error> in_option(std::string_view option, const Error& error) {
  return fail(Errc::usage, fmt::format("{}: {}", option, error.message));
}

}  // namespace culvert::cli

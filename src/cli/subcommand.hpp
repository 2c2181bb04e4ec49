// SPDX-License-Identifier: Apache-2.0
// What the commands besides the SSH client have in common: `culvert serve`, `culvert map`, `culvert proxy`.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/ip_address.hpp"
#include "base/log.hpp"
#include "base/result.hpp"
#include "daemon/plan.hpp"

namespace culvert::cli {

/// What the words behind the name of a command stand for.
struct SubcommandLine {
  std::optional<std::string> answer;  ///< to be printed, with nothing to run: help, a list
  daemon::Plan plan;
  LogLevel log_level = LogLevel::notice;
  LogFormat log_format = LogFormat::text;
  std::string log_file;
};

/// The options that all of them have, and the reading itself.
class SubcommandReader {
 public:
  /// `app` and `line` must outlive it. Adds -h and the options of the log to those that `app` has already.
  SubcommandReader(CLI::App& app, SubcommandLine& line);

  /// Fills what the options of `app` are bound to, and the log of the line. False: the answer is
  /// help. Errc::usage with the command's name in front.
  [[nodiscard]] Result<bool> read(std::span<const std::string_view> arguments);

 private:
  CLI::App& app_;
  SubcommandLine& line_;
  std::string log_format_;
  int verbose_ = 0;
  bool quiet_ = false;
};

/// An option that may be repeated, one value each time.
CLI::Option* add_repeated(CLI::App& app, const std::string& names, std::vector<std::string>& values,
                          const std::string& text);

/// The values of a repeated option, as networks. Errc::usage with its name in front.
[[nodiscard]] Result<std::vector<IpNetwork>> networks_of(std::string_view option,
                                                         std::span<const std::string> texts);

/// --user and --no-sandbox: what a process that strangers talk to gives up.
void add_privilege_options(CLI::App& app, daemon::Plan& plan);

/// --open-gateway, of all that listen.
void add_open_gateway(CLI::App& app, bool& opens);

/// Which option was wrong, in front of what is wrong with its value.
[[nodiscard]] std::unexpected<Error> in_option(std::string_view option, const Error& error);

}  // namespace culvert::cli

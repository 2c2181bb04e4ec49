// SPDX-License-Identifier: Apache-2.0
#include "cli/options.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/endpoint_spec.hpp"
#include "cli/values.hpp"

namespace culvert::cli {
namespace {

const Letter* find_letter(char letter) {
  const auto rows = letters();
  const auto row = std::ranges::find(rows, letter, &Letter::letter);
  return row == rows.end() ? nullptr : &*row;
}

Result<void> apply_letter(const Letter& row, CommandLine& line, const std::string& value) {
  if (row.effect == Effect::nothing && row.apply == nullptr) return {};
  Result<void> done =
      row.effect == Effect::refused ? fail(Errc::usage, std::string(row.text)) : row.apply(line, value);
  if (!done) return fail(Errc::usage, fmt::format("-{}: {}", row.letter, done.error().message));
  return done;
}

Result<void> apply_destination(Settings& settings, std::string_view text) {
  Destination destination = TRY(parse_destination(text));
  settings.host = std::move(destination.host);
  if (destination.user) set_once(settings.user, std::move(*destination.user));
  if (destination.port) set_once(settings.port, *destination.port);
  return {};
}

// Goes over the arguments as getopt(3) and ssh do: options, the host, options again, and what would be a
// command.
class Walker {
 public:
  Walker(std::span<const std::string_view> arguments, CommandLine& line) : rest_(arguments), line_(line) {}

  Result<void> walk() {
    while (!rest_.empty() && line_.action == Action::run) {
      const std::string_view argument = take();
      if (options_ended_ || argument.size() < 2 || argument[0] != '-') {
        TRY(take_word(argument));
      } else if (argument == "--") {
        options_ended_ = true;
      } else if (argument.starts_with("--")) {
        TRY(take_long_option(argument));
      } else {
        TRY(take_cluster(argument.substr(1)));
      }
    }
    return {};
  }

 private:
  std::string_view take() {
    const std::string_view argument = rest_.front();
    rest_ = rest_.subspan(1);
    return argument;
  }

  Result<void> take_word(std::string_view word) {
    if (!line_.settings.host) return apply_destination(line_.settings, word);
    return fail(
        Errc::usage,
        fmt::format(
            "{}: culvert runs no commands on the server, it only forwards: leave it out, or run it with ssh",
            in_quotes(word)));
  }

  Result<void> take_long_option(std::string_view argument) {
    const auto equals = argument.find('=');
    const std::string_view name = argument.substr(2, equals == std::string_view::npos ? equals : equals - 2);
    const auto rows = long_options();
    const auto row = std::ranges::find(rows, name, &LongOption::name);
    if (row == rows.end())
      return fail(Errc::usage, fmt::format("unknown option {} (see culvert --help)", in_quotes(argument)));
    const bool attached = equals != std::string_view::npos;
    if (row->value.empty() && attached) return fail(Errc::usage, fmt::format("--{} takes no value", name));
    std::string value;
    if (!row->value.empty()) {
      if (!attached && rest_.empty())
        return fail(Errc::usage, fmt::format("--{} wants a value: --{} {}", name, name, row->value));
      value = attached ? argument.substr(equals + 1) : take();
      if (value.empty()) return fail(Errc::usage, fmt::format("--{}: the value is empty", name));
    }
    const auto done = row->apply(line_, value);
    if (!done) return fail(Errc::usage, fmt::format("--{}: {}", name, done.error().message));
    return {};
  }

  // "-fNL" and the argument behind it, or "-fNL8080:a:80".
  Result<void> take_cluster(std::string_view cluster) {
    while (!cluster.empty() && line_.action == Action::run) {
      const Letter* row = find_letter(cluster[0]);
      if (row == nullptr) {
        return fail(Errc::usage,
                    fmt::format("unknown option -{} (see culvert --help)", printable(cluster.substr(0, 1))));
      }
      cluster.remove_prefix(1);
      std::string value;
      if (!row->value.empty()) {
        if (cluster.empty() && rest_.empty()) {
          return fail(Errc::usage,
                      fmt::format("-{} wants a value: -{} {}", row->letter, row->letter, row->value));
        }
        value = cluster.empty() ? take() : cluster;
        cluster = {};
      }
      TRY(apply_letter(*row, line_, value));
    }
    return {};
  }

  std::span<const std::string_view> rest_;
  CommandLine& line_;
  bool options_ended_ = false;
};

}  // namespace

Result<CommandLine> read_command_line(std::span<const std::string_view> arguments) {
  CommandLine line;
  TRY(Walker(arguments, line).walk());
  if (line.action == Action::run && !line.settings.host) {
    return fail(Errc::usage, "no server given: culvert [options] [user@]host (see culvert --help)");
  }
  return line;
}

}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
#include "cli/serve.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "base/ip_address.hpp"
#include "base/text.hpp"
#include "cli/endpoint_spec.hpp"
#include "cli/expand.hpp"
#include "cli/values.hpp"
#include "files/text_file.hpp"

namespace culvert::cli {
namespace {

constexpr std::string_view kDefaultPort = "2222";
constexpr std::size_t kLongestBanner = 32 * 1024;

constexpr const char* kAbout =
    "An SSH server that only forwards: no shell, no files, no commands. Every stock ssh client can use it.\n"
    "A key may do what the rules say (--rules), and what its permitopen and permitlisten in the file of keys "
    "say.";

constexpr const char* kExamples =
    "examples:\n"
    "  culvert serve --authorized-keys ~/.ssh/authorized_keys --rules rules.toml\n"
    "  culvert serve --listen 443 --authorized-keys alice=alice.keys --authorized-keys bob=bob.keys "
    "--allow-all\n"
    "  ssh -p 2222 -N -L 5432:db:5432 me@server      culvert -p 2222 -R 0:localhost:3000 me@server\n"
    "exit: 0 ended by a signal; 255 failed";

// Where a host key is kept that nobody named: beside the system's configuration, or the user's.
std::string own_host_key(const Environment& environment) {
  if (::getuid() == 0) return "/etc/culvert/host_ed25519_key";
  const char* config = std::getenv("XDG_CONFIG_HOME");
  const std::string folder = config != nullptr && config[0] == '/' ? config : environment.home + "/.config";
  return folder + "/culvert/host_ed25519_key";
}

Result<server::KeysOfUser> keys_of(const std::string& text, const Environment& environment) {
  const auto equals = text.find('=');
  server::KeysOfUser keys;
  if (equals != std::string::npos) {
    keys.user = text.substr(0, equals);
    TRY(check_user_name(keys.user));
  }
  keys.file = TRY(expand_tilde(text.substr(equals == std::string::npos ? 0 : equals + 1), environment.home));
  return keys;
}

Result<std::string> banner_of(const std::string& path) {
  auto file = files::read_text_file(path, kLongestBanner);
  if (!file) return fail(file.error().code, "--banner: " + file.error().message);
  std::erase_if(file->text, [](char letter) {
    const auto byte = static_cast<unsigned char>(letter);
    return (byte < 0x20 && letter != '\n' && letter != '\t') || byte == 0x7F;
  });
  return std::move(file->text);
}

std::unexpected<Error> in_option(std::string_view option, const Error& error) {
  return fail(Errc::usage, fmt::format("{}: {}", option, error.message));
}

}  // namespace

Result<void> read_serve_line(std::span<const std::string_view> arguments, const Environment& environment,
                             ServeLine& line) {
  daemon::ServerPlan& plan = line.plan.servers.emplace_back();
  server::ServerOptions& options = plan.options;
  std::vector<std::string> listen, keys, host_keys, revoked, exempt;
  std::string banner, login_time, log_format;
  int verbose = 0;
  bool quiet = false;

  CLI::App app(kAbout, "culvert serve");
  app.footer(kExamples);
  app.set_help_flag("-h,--help", "Print this");
  app.add_option("-l,--listen", listen, "[bind:]port to serve at; may be repeated (*:2222)")
      ->allow_extra_args(false);
  app.add_option("-k,--authorized-keys", keys,
                 "[user=]file of keys that may log in, in sshd's format; may be repeated")
      ->allow_extra_args(false);
  app.add_option("-r,--rules", options.rules_file, "file that says who may connect and listen where");
  app.add_option("--revoked-keys", revoked,
                 "file of keys that may not log in, or key revocation list; may be repeated")
      ->allow_extra_args(false);
  app.add_flag("--allow-all", options.allow_all, "whoever logs in may forward anything");
  app.add_option("--host-key", host_keys, "private key of the server; may be repeated (one is made)")
      ->allow_extra_args(false);
  app.add_option("--host-certificate", options.host_certificate_files,
                 "certificate of a host key; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--banner", banner, "file with a text that clients show before the login");
  app.add_option("--exempt", exempt, "network whose mistakes are not punished; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--login-time", login_time, "how long a login may take (60)");
  app.add_option("--max-sessions", options.sessions, "clients that are logged in at once (4096)");
  app.add_option("--user", line.plan.account,
                 "started as root: the account to run as (culvert, or else nobody)");
  app.add_flag("!--no-sandbox", line.plan.sandbox,
               "do not refuse the system calls that a server does not need");
  app.add_option("-E,--log-file", line.log_file, "append the log to it");
  app.add_option("--log-format", log_format, "text, or json: an object a line (text)")
      ->check(CLI::IsMember({"text", "json"}))
      ->type_name("text|json");
  app.add_flag("-v", verbose, "print more; up to -vvv");
  app.add_flag("-q", quiet, "print errors alone");

  std::vector<std::string> words(arguments.rbegin(), arguments.rend());  // as CLI11 wants them
  try {
    app.parse(words);
  } catch (const CLI::CallForHelp&) {
    line.wants_help = true;
    line.help = app.help();
    return {};
  } catch (const CLI::ParseError& error) {
    return fail(Errc::usage, fmt::format("serve: {} (see culvert serve --help)", error.what()));
  }

  if (log_format == "json") line.log_format = LogFormat::json;
  if (listen.empty()) listen.emplace_back(fmt::format("*:{}", kDefaultPort));
  for (const std::string& text : listen) {
    auto place = parse_dynamic_forward(text);
    if (!place) return in_option("--listen", place.error());
    if (auto* at = std::get_if<relay::HostPort>(&place->listen.endpoint); at != nullptr && at->host.empty())
      at->host = "*";
    plan.listen.push_back(std::move(place->listen));
  }
  for (const std::string& text : keys) {
    auto of = keys_of(text, environment);
    if (!of) return in_option("--authorized-keys", of.error());
    options.keys.push_back(std::move(*of));
  }
  if (keys.empty() && options.rules_file.empty())
    return fail(Errc::usage,
                "serve: nobody could log in: give --authorized-keys FILE (see culvert serve --help)");
  for (const std::string& text : host_keys)
    options.host_key_files.push_back(TRY(expand_tilde(text, environment.home)));
  if (host_keys.empty()) {
    options.made_host_key = own_host_key(environment);
    options.host_key_files = {options.made_host_key};
  }
  for (const std::string& text : revoked)
    options.revoked_keys.push_back(TRY(expand_tilde(text, environment.home)));
  for (const std::string& text : exempt) {
    auto network = IpNetwork::parse(text);
    if (!network) return in_option("--exempt", network.error());
    options.guard.exempt.push_back(*network);
  }
  if (!login_time.empty()) {
    const auto time = parse_time(login_time);
    if (!time) return in_option("--login-time", time.error());
    options.login_time = *time;
  }
  if (!banner.empty()) options.banner = TRY(banner_of(banner));
  if (quiet) line.log_level = LogLevel::error;
  if (verbose > 0)
    line.log_level = static_cast<LogLevel>(
        std::min(static_cast<int>(LogLevel::notice) + verbose, static_cast<int>(LogLevel::trace)));
  return {};
}

}  // namespace culvert::cli

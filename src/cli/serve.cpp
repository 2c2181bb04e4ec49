// SPDX-License-Identifier: Apache-2.0
#include "cli/serve.hpp"

#include <unistd.h>

#include <cstdlib>
#include <vector>

#include <fmt/format.h>

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

constexpr const char* kServeAbout =
    "An SSH server that only forwards: no shell, no files, no commands. Every stock ssh client can use it.\n"
    "A key may do what the rules say (--rules), and what its permitopen and permitlisten in the file of keys "
    "say.";

constexpr const char* kServeExamples =
    "examples:\n"
    "  culvert serve --authorized-keys ~/.ssh/authorized_keys --rules rules.toml\n"
    "  culvert serve --listen 443 --authorized-keys alice=alice.keys --authorized-keys bob=bob.keys "
    "--allow-all\n"
    "  ssh -p 2222 -N -L 5432:db:5432 me@server      culvert -p 2222 -R 0:localhost:3000 me@server\n"
    "exit: 0 ended by a signal; 255 failed; 128+N signal N cut it off";

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

}  // namespace

Result<void> read_serve_line(std::span<const std::string_view> arguments, const Environment& environment,
                             SubcommandLine& line) {
  daemon::ServerPlan& plan = line.plan.servers.emplace_back();
  server::ServerOptions& options = plan.options;
  std::vector<std::string> listen, keys, host_keys, revoked, exempt, proxies, listener_proxies;
  std::string banner, login_time, quota_file;

  CLI::App app(kServeAbout, "culvert serve");
  app.footer(kServeExamples);
  add_repeated(app, "-l,--listen", listen, "[bind:]port to serve at (*:2222)");
  add_repeated(app, "-k,--authorized-keys", keys, "[user=]file of keys that may log in, in sshd's format");
  app.add_option("-r,--rules", options.rules_file, "file that says who may connect and listen where");
  add_repeated(app, "--revoked-keys", revoked, "file of keys that may not log in, or key revocation list");
  app.add_flag("--allow-all", options.allow_all, "whoever logs in may forward anything");
  add_repeated(app, "--host-key", host_keys, "private key of the server (one is made)");
  add_repeated(app, "--host-certificate", options.host_certificate_files, "certificate of a host key");
  app.add_option("--banner", banner, "file with a text that clients show before the login");
  add_repeated(app, "--exempt", exempt, "network whose mistakes are not punished");
  add_repeated(app, "--accept-proxy", proxies,
               "network of proxies: clients come from there alone, with a PROXY header (v1 or v2) in front");
  add_repeated(app, "--remote-accept-proxy", listener_proxies,
               "the same of what comes to the ports that clients listen at (-R)");
  app.add_option("--quota-file", quota_file, "file that keeps what is used of quotas, over restarts");
  app.add_option("--login-time", login_time, "how long a login may take (60)");
  app.add_option("--max-sessions", options.sessions, "clients that are logged in at once (4096)")
      ->check(CLI::Range(1U, 1U << 24));
  app.add_option("--threads", plan.threads, "threads that carry sessions (one for each processor)")
      ->check(CLI::Range(1, 256));
  add_privilege_options(app, line.plan);
  bool opens = false;
  add_open_gateway(app, opens);
  SubcommandReader reader(app, line);
  if (!TRY(reader.read(arguments))) return {};
  if (opens) line.plan.gateway.emplace().listeners = true;

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
  if (!quota_file.empty()) options.quota_file = TRY(expand_tilde(quota_file, environment.home));
  options.guard.exempt = TRY(networks_of("--exempt", exempt));
  options.proxies = TRY(networks_of("--accept-proxy", proxies));
  options.listener_proxies = TRY(networks_of("--remote-accept-proxy", listener_proxies));
  if (!login_time.empty()) {
    const auto time = parse_time(login_time);
    if (!time) return in_option("--login-time", time.error());
    options.login_time = *time;
  }
  if (!banner.empty()) options.banner = TRY(banner_of(banner));
  return {};
}

}  // namespace culvert::cli

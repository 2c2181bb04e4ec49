// SPDX-License-Identifier: Apache-2.0
#include "cli/plan_builder.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/endpoint_spec.hpp"
#include "cli/expand.hpp"
#include "cli/host_tokens.hpp"
#include "cli/values.hpp"
#include "files/config_words.hpp"

namespace culvert::cli {
namespace {

// ssh's order. Missing files are passed over by the tunnel.
constexpr std::array kIdentityFiles = {"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519"};
constexpr std::array kUserKnownHosts = {"~/.ssh/known_hosts", "~/.ssh/known_hosts2"};
constexpr std::array kGlobalKnownHosts = {"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"};

constexpr std::string_view kLaterTokens = "HIKft";
constexpr int kJumpsMost = 16;

class Builder {
 public:
  /// `depth`: of jump hosts that lead to this one.
  Builder(const Settings& settings, const Environment& environment, const HopSettings& hops, int depth = 0)
      : settings_(settings), environment_(environment), hops_(hops), depth_(depth) {}

  Result<daemon::Plan> build() {
    daemon::SessionPlan session;
    session.server = TRY(server());
    TRY(set_forwards(session));
    daemon::Plan plan;
    plan.sessions.push_back(std::move(session));
    if (settings_.open_gateway.value_or(false)) plan.gateway.emplace().listeners = true;
    return plan;
  }

  Result<tunnel::ServerOptions> server() {
    if (const auto& refusal = settings_.refusal; refusal && !equal_ignoring_case(*refusal, "none"))
      return fail(Errc::denied, "refused by the configuration (RefuseConnection): " + printable(*refusal));
    tunnel::ServerOptions server;
    TRY(set_address(server));
    TRY(set_way(server));
    TRY(set_identity_of_host(server));
    TRY(set_login(server));
    set_connection(server);
    return server;
  }

 private:
  Result<void> set_way(tunnel::ServerOptions& server) const {
    const auto is_given = [](const std::optional<std::string>& value) {
      return value && !equal_ignoring_case(*value, "none");
    };
    if (is_given(settings_.proxy_command)) {
      auto command = expand_tokens(*settings_.proxy_command, tokens_);
      if (!command) return fail(Errc::usage, "ProxyCommand: " + command.error().message);
      server.way = tunnel::ProxyCommand{std::move(*command), settings_.proxy_use_fdpass.value_or(false)};
    } else if (is_given(settings_.proxy_via)) {
      server.way = TRY(parse_proxy_via(*settings_.proxy_via));
    } else if (is_given(settings_.proxy_jump)) {
      server.way = TRY(jump(TRY(parse_jumps(*settings_.proxy_jump))));
    }
    return {};
  }

  // The last one is the server's own jump host, and is reached through those before it; how the first one is
  // reached, its own configuration says. Who limits how long a server may take means the way to it, too.
  Result<tunnel::JumpHost> jump(std::vector<Destination> chain) const {
    if (depth_ + static_cast<int>(chain.size()) > kJumpsMost)
      return fail(Errc::usage,
                  fmt::format("more than {} jump hosts: does one lead back to another?", kJumpsMost));
    std::optional<tunnel::Way> way;
    tunnel::JumpHost last;
    for (const Destination& hop : chain) {
      Settings settings = TRY(hops_(hop));
      if (!settings.connect_timeout) settings.connect_timeout = settings_.connect_timeout;
      if (way) settings.proxy_jump = settings.proxy_command = settings.proxy_via = std::nullopt;
      auto server =
          TRY(Builder(settings, environment_, hops_, depth_ + static_cast<int>(chain.size())).server());
      if (way) server.way = std::move(*way);
      last.server = std::make_shared<const tunnel::ServerOptions>(std::move(server));
      way = last;
    }
    return last;
  }

  // Also makes the tokens, which the other parts expand.
  Result<void> set_address(tunnel::ServerOptions& server) {
    server.host = settings_.host_name.value_or(settings_.host.value_or(""));
    server.host_key_alias = settings_.host_key_alias.value_or("");
    server.port = settings_.port.value_or(server.port);
    server.user = settings_.user.value_or(environment_.user);
    if (server.user.empty()) {
      return fail(Errc::usage,
                  fmt::format("user id {} has no name here: give the server's with -l", environment_.uid));
    }
    server.family = settings_.family.value_or(server.family);
    server.bind_address = settings_.bind_address.value_or("");
    server.bind_interface = settings_.bind_interface.value_or("");
    server.connect_timeout = settings_.connect_timeout.value_or(server.connect_timeout);
    server.connection_attempts = settings_.connection_attempts.value_or(server.connection_attempts);
    server.tcp_keepalive = settings_.tcp_keepalive.value_or(server.tcp_keepalive);

    tokens_ = host_tokens(settings_, environment_, server.host);
    return {};
  }

  Result<void> set_identity_of_host(tunnel::ServerOptions& server) {
    server.host_key_policy = settings_.host_key_policy.value_or(server.host_key_policy);
    server.check_address = settings_.check_address.value_or(server.check_address);
    server.hash_known_hosts = settings_.hash_known_hosts.value_or(server.hash_known_hosts);
    server.authority_signatures = settings_.authority_signatures.value_or(server.authority_signatures);
    server.user_known_hosts =
        TRY(files("UserKnownHostsFile", settings_.user_known_hosts.value_or(names(kUserKnownHosts))));
    server.global_known_hosts =
        TRY(files("GlobalKnownHostsFile", settings_.global_known_hosts.value_or(names(kGlobalKnownHosts))));
    if (settings_.revoked_host_keys && !equal_ignoring_case(*settings_.revoked_host_keys, "none"))
      server.revoked_host_keys = TRY(path("RevokedHostKeys", *settings_.revoked_host_keys));
    if (settings_.known_hosts_command && !equal_ignoring_case(*settings_.known_hosts_command, "none"))
      server.known_hosts_command = TRY(command_words("KnownHostsCommand", *settings_.known_hosts_command));
    return {};
  }

  Result<void> set_login(tunnel::ServerOptions& server) {
    server.identities_explicit = !settings_.identity_files.empty();
    server.identity_files = TRY(files(
        "IdentityFile", server.identities_explicit ? settings_.identity_files : default_identity_files()));
    server.certificate_files = TRY(files("CertificateFile", settings_.certificate_files));
    server.add_keys = settings_.add_keys.value_or(server.add_keys);
    server.add_keys_lifetime = settings_.add_keys_lifetime.value_or(server.add_keys_lifetime);
    server.host_bound = settings_.host_bound.value_or(server.host_bound);
    server.identities_only = settings_.identities_only.value_or(server.identities_only);
    server.agent_socket = TRY(agent_socket());
    server.allow_public_key = settings_.public_key.value_or(server.allow_public_key);
    server.allow_password = settings_.password.value_or(server.allow_password);
    server.allow_keyboard_interactive =
        settings_.keyboard_interactive.value_or(server.allow_keyboard_interactive);
    server.preferred_methods = settings_.preferred_methods.value_or(server.preferred_methods);
    server.password_prompts = settings_.password_prompts.value_or(server.password_prompts);
    server.batch = settings_.batch.value_or(server.batch);
    server.user_signatures = settings_.user_signatures.value_or(server.user_signatures);
    return {};
  }

  void set_connection(tunnel::ServerOptions& server) const {
    server.algorithms.key_exchanges = settings_.key_exchanges.value_or(server.algorithms.key_exchanges);
    server.algorithms.host_keys = settings_.host_keys.value_or(server.algorithms.host_keys);
    server.algorithms.ciphers = settings_.ciphers.value_or(server.algorithms.ciphers);
    server.algorithms.macs = settings_.macs.value_or(server.algorithms.macs);
    server.rekey = settings_.rekey.value_or(server.rekey);
    server.timing.keepalive_interval = settings_.alive_interval.value_or(kAliveInterval);
    // ssh, which is given 0, ends a connection that was silent once, and asks nobody.
    server.timing.keepalive_count = std::max<std::uint32_t>(alive_count(settings_), 1);
    if (!settings_.alive_interval) server.asks_beside_kernel = kAskBesideKernel;
  }

  Result<void> set_forwards(daemon::SessionPlan& session) const {
    session.exit_on_forward_failure =
        settings_.exit_on_forward_failure.value_or(session.exit_on_forward_failure);
    if (settings_.stdio) session.stdio = daemon::StdioForward{*settings_.stdio};
    if (!clears_forwardings(settings_)) {
      for (const daemon::LocalForward& forward : settings_.local_forwards) {
        session.local_forwards.push_back(TRY(complete(forward)));
      }
      for (const daemon::RemoteForward& forward : settings_.remote_forwards) {
        session.remote_forwards.push_back(TRY(complete(forward)));
      }
      for (const daemon::DynamicForward& forward : settings_.dynamic_forwards) {
        session.dynamic_forwards.push_back({TRY(complete(forward.listen, "-D"))});
      }
    }
    session.reconnects = !settings_.no_reconnect.value_or(false);
    session.waits_for_first = settings_.wait_for_first.value_or(false);
    session.permitted_remote = settings_.permitted_remote;
    session.on_listen = settings_.on_listen.value_or("");
    if (settings_.proxy_auth) session.proxy_accounts_file = TRY(path("--proxy-auth", *settings_.proxy_auth));
    session.proxy_header_from = settings_.accept_proxy;
    session.proxy_header_to = settings_.send_proxy;
    if (session.stdio || !session.local_forwards.empty() || !session.dynamic_forwards.empty() ||
        !session.remote_forwards.empty() || settings_.no_command.value_or(false))
      return {};
    return fail(Errc::usage,
                "nothing to forward: add -L or -R [bind:]port:host:hostport, -D [bind:]port or -W host:port "
                "(-N logs in all the same)");
  }

  Result<daemon::LocalForward> complete(daemon::LocalForward forward) const {
    forward.listen = TRY(complete(std::move(forward.listen), "-L"));
    if (auto* socket = std::get_if<relay::UnixPath>(&forward.destination))
      socket->path = TRY(path("-L", socket->path));
    return forward;
  }

  Result<daemon::RemoteForward> complete(daemon::RemoteForward forward) const {
    if (auto* socket = std::get_if<relay::UnixPath>(&forward.listen)) {
      socket->path = TRY(expand("-R", socket->path));
    } else {  // as it is sent (RFC 4254 section 7.1)
      std::string& host = std::get<relay::HostPort>(forward.listen).host;
      if (host.empty()) {
        host = "localhost";
      } else if (host == "*") {
        host.clear();
      }
    }
    if (forward.destination) {
      if (auto* socket = std::get_if<relay::UnixPath>(&*forward.destination))
        socket->path = TRY(path("-R", socket->path));
    }
    return forward;
  }

  Result<daemon::ListenSpec> complete(daemon::ListenSpec listen, std::string_view option) const {
    listen.family = settings_.family.value_or(listen.family);
    listen.socket_mask = settings_.socket_mask.value_or(listen.socket_mask);
    listen.unlink_existing = settings_.unlink_sockets.value_or(listen.unlink_existing);
    if (auto* place = std::get_if<relay::HostPort>(&listen.endpoint); place && place->host.empty())
      place->host = settings_.gateway_ports.value_or(false) ? "*" : "localhost";
    if (auto* socket = std::get_if<relay::UnixPath>(&listen.endpoint))
      socket->path = TRY(path(option, socket->path));
    return listen;
  }

  Result<std::string> agent_socket() const {
    const std::string& wish = settings_.identity_agent.value_or("SSH_AUTH_SOCK");
    if (equal_ignoring_case(wish, "none")) return "";
    if (wish == "SSH_AUTH_SOCK") return environment_.agent_socket;
    if (wish.starts_with('$')) {
      std::string name = wish.substr(1);
      if (name.starts_with('{') && name.ends_with('}')) name = name.substr(1, name.size() - 2);
      const char* value = std::getenv(name.c_str());
      return value == nullptr ? "" : value;
    }
    return path("IdentityAgent", wish);
  }

  // "none" stands for no file.
  Result<std::vector<std::string>> files(std::string_view what, const std::vector<std::string>& texts) const {
    std::vector<std::string> out;
    for (const std::string& text : texts) {
      if (!equal_ignoring_case(text, "none")) out.push_back(TRY(path(what, text)));
    }
    return out;
  }

  // A path of the server: its homes are not ours.
  Result<std::string> expand(std::string_view what, std::string_view text) const {
    auto expanded = expand_references(text, tokens_);
    if (!expanded) return fail(Errc::usage, fmt::format("{}: {}", what, expanded.error().message));
    return expanded;
  }

  Result<std::string> path(std::string_view what, std::string_view text) const {
    auto expanded = expand_tilde(text, environment_.home);
    if (!expanded) return fail(Errc::usage, fmt::format("{}: {}", what, expanded.error().message));
    return expand(what, *expanded);
  }

  // What is known only when a host shows its key stays a token. As in ssh, the program's path has none.
  Result<std::vector<tunnel::CommandWord>> command_words(std::string_view what, std::string_view text) const {
    const auto words = files::split_words(text, true);
    if (!words) return fail(Errc::usage, fmt::format("{}: {}", what, words.error().message));
    if (words->empty() || !words->front().starts_with('/')) {
      return fail(Errc::usage,
                  fmt::format("{}: {} does not begin with an absolute path", what, in_quotes(text)));
    }
    std::vector<tunnel::CommandWord> out = {{{words->front()}}};
    for (const std::string_view word : std::span(*words).subspan(1)) {
      auto pieces = pieces_of(word, tokens_);
      if (!pieces) return fail(Errc::usage, fmt::format("{}: {}", what, pieces.error().message));
      out.push_back(*std::move(pieces));
    }
    return out;
  }

  static Result<tunnel::CommandWord> pieces_of(std::string_view word, std::span<const Token> tokens) {
    tunnel::CommandWord pieces;
    std::size_t start = 0;
    for (std::size_t i = 0; i < word.size(); ++i) {
      if (word[i] != '%' || ++i == word.size() || !kLaterTokens.contains(word[i])) continue;
      pieces.push_back({TRY(expand_tokens(word.substr(start, i - 1 - start), tokens)), word[i]});
      start = i + 1;
    }
    pieces.push_back({TRY(expand_tokens(word.substr(start), tokens))});
    return pieces;
  }

  template <std::size_t N>
  static std::vector<std::string> names(const std::array<const char*, N>& texts) {
    return {texts.begin(), texts.end()};
  }

  const Settings& settings_;
  const Environment& environment_;
  const HopSettings& hops_;
  const int depth_;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<std::string> default_identity_files() { return {kIdentityFiles.begin(), kIdentityFiles.end()}; }

Result<Settings> plain_hop(const Destination& hop) {
  Settings settings;
  settings.host = hop.host;
  settings.user = hop.user;
  settings.port = hop.port;
  return settings;
}

Result<tunnel::ServerOptions> build_server(const Settings& settings, const Environment& environment) {
  Settings alone = settings;
  alone.proxy_jump.reset();
  return Builder(alone, environment, plain_hop).server();
}

Result<daemon::Plan> build_plan(const Settings& settings, const Environment& environment,
                                const HopSettings& hops) {
  return Builder(settings, environment, hops).build();
}

}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "base/time.hpp"
#include "daemon/plan.hpp"

namespace culvert::cli {

/// CanonicalizeHostname: whether short names are completed, and whether also those that a proxy resolves.
enum class Canonicalize : std::uint8_t { no, direct, always };

/// How much to say, in the words of ssh. culvert has fewer levels: level_of().
enum class Verbosity : std::uint8_t { quiet, fatal, error, info, verbose, debug1, debug2, debug3 };

[[nodiscard]] constexpr LogLevel level_of(Verbosity verbosity) {
  switch (verbosity) {
    case Verbosity::quiet:
    case Verbosity::fatal:
    case Verbosity::error:
      return LogLevel::error;
    case Verbosity::info:
      return LogLevel::notice;
    case Verbosity::verbose:
    case Verbosity::debug1:
      return LogLevel::verbose;
    case Verbosity::debug2:
      return LogLevel::debug;
    case Verbosity::debug3:
      break;
  }
  return LogLevel::trace;
}

/// What flags and keywords have said so far; what nobody spoke of is empty. As in ssh, the first value of a
/// keyword counts, so that later sources (files) only fill gaps. Names are as typed: plan_builder expands
/// them, but for `host_name`, which is expanded by resolve_settings().
struct Settings {
  std::optional<std::string> host;     ///< of [user@]host
  std::optional<std::string> tag;      ///< for `Match tagged`
  std::optional<std::string> refusal;  ///< RefuseConnection: why; "none": no
  std::optional<Canonicalize> canonicalize;
  std::optional<std::vector<std::string>> canonical_domains, permitted_cnames;
  std::optional<std::uint32_t> canonical_max_dots;
  std::optional<bool> canonical_fallback_local;
  std::optional<std::string> host_name, user, host_key_alias, bind_address, bind_interface;
  std::optional<std::uint16_t> port;
  std::optional<tunnel::AddressFamily> family;
  /// Of these three the first one that is given counts: ProxyJump "a,b" or "none", ProxyCommand or "none",
  /// ProxyVia "socks5://[user:password@]host:port", "http://..." or "none".
  std::optional<std::string> proxy_jump, proxy_command, proxy_via;
  std::optional<bool> proxy_use_fdpass;  ///< of ProxyCommand alone
  std::optional<Duration> connect_timeout;
  std::optional<std::uint32_t> connection_attempts;

  std::optional<tunnel::HostKeyPolicy> host_key_policy;
  std::optional<std::vector<std::string>> user_known_hosts, global_known_hosts;
  std::optional<bool> check_address;
  std::optional<bool> hash_known_hosts;
  std::optional<std::string> revoked_host_keys, known_hosts_command;  ///< or "none"

  std::vector<std::string> identity_files, certificate_files;
  std::optional<tunnel::AddKeys> add_keys;
  std::optional<Duration> add_keys_lifetime;
  std::optional<bool> host_bound;
  std::optional<std::string> identity_agent;
  std::optional<bool> identities_only, public_key, password, keyboard_interactive, batch;
  std::optional<std::vector<std::string>> preferred_methods;
  std::optional<std::uint32_t> password_prompts;

  std::optional<std::vector<std::string>> key_exchanges, host_keys, ciphers, macs, user_signatures,
      authority_signatures;
  std::optional<ssh::RekeyPolicy> rekey;
  std::optional<Duration> alive_interval;
  std::optional<std::uint32_t> alive_count;
  std::optional<bool> tcp_keepalive;

  std::vector<daemon::LocalForward> local_forwards;
  std::vector<daemon::DynamicForward> dynamic_forwards;
  std::optional<std::string> proxy_auth;  ///< file of the users of -D
  std::vector<daemon::RemoteForward> remote_forwards;
  std::vector<IpNetwork> accept_proxy;
  std::optional<relay::ProxyHeaderVersion> send_proxy;
  std::optional<std::vector<relay::HostPort>> permitted_remote;
  std::optional<std::string> on_listen;
  std::optional<bool> no_reconnect, wait_for_first;
  std::optional<relay::HostPort> stdio;
  std::optional<bool> open_gateway;  ///< the home router leads to what others can reach of the listeners here
  std::optional<bool> gateway_ports, exit_on_forward_failure, clear_forwardings, unlink_sockets;
  std::optional<unsigned> socket_mask;
  std::optional<bool> no_command;  ///< -N or -W: log in even with nothing (else) to forward

  std::optional<bool> background, no_input;
  std::optional<Verbosity> verbosity;
  std::string log_file;
  std::vector<std::string> notes;  ///< what was taken otherwise than it was written: lines for -v
  std::optional<std::string> ignored_keywords;  ///< patterns of IgnoreUnknown, separated by commas
  /// Values of keywords that change nothing, by the keyword's name: one line of `ssh -G` each.
  std::map<std::string, std::vector<std::string>, std::less<>> kept;
};

inline constexpr Duration kAliveInterval = std::chrono::seconds(8);
inline constexpr Duration kAskBesideKernel = std::chrono::seconds(30);

/// ServerAliveCountMax: by default a server that is gone is noticed within half a minute; ssh's number where
/// the interval was chosen.
[[nodiscard]] inline std::uint32_t alive_count(const Settings& settings) {
  return settings.alive_count.value_or(settings.alive_interval ? 3 : 2);
}

/// Whether no forwards are opened: ClearAllForwardings; as in ssh, -W puts the others aside.
[[nodiscard]] inline bool clears_forwardings(const Settings& settings) {
  return settings.clear_forwardings.value_or(settings.stdio.has_value());
}

/// Where all values count, but none of them twice.
template <class T>
void add_once(std::vector<T>& list, T value) {
  if (std::ranges::find(list, value) == list.end()) list.push_back(std::move(value));
}

/// The first value counts.
template <class T>
void set_once(std::optional<T>& field, T value) {
  if (!field) field = std::move(value);
}

}  // namespace culvert::cli

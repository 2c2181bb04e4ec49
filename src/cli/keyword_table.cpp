// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>

#include "cli/algorithm_list.hpp"
#include "cli/endpoint_spec.hpp"
#include "cli/keywords.hpp"
#include "cli/values.hpp"
#include "crypto/algorithms.hpp"
#include "crypto/key_algorithms.hpp"

namespace culvert::cli {
namespace {

using Applier = Result<void> (*)(Settings&, Words);

// The parsers below take one word and give the field's type; set<> joins one with a field of Settings.
template <auto Field, auto Parse>
Result<void> set(Settings& settings, Words words) {
  set_once(settings.*Field, TRY(Parse(words[0])));
  return {};
}

Result<std::string> as_text(const std::string& word) { return word; }
Result<bool> as_flag(const std::string& word) { return parse_flag(word); }
Result<std::uint16_t> as_port(const std::string& word) { return parse_port(word); }

Result<std::string> as_host(const std::string& word) {
  TRY(check_host_name(word));
  return word;
}

Result<std::string> as_user(const std::string& word) {
  TRY(check_user_name(word));
  return word;
}

template <std::uint32_t Min, std::uint32_t Max = std::numeric_limits<std::int32_t>::max()>
Result<std::uint32_t> as_count(const std::string& word) {
  return static_cast<std::uint32_t>(TRY(parse_number(word, Min, Max)));
}

Result<Duration> as_time(const std::string& word) {
  if (equal_ignoring_case(word, "none")) return Duration::zero();
  return parse_time(word);
}

Result<unsigned> as_mask(const std::string& word) {
  unsigned mask = 0;
  for (const char digit : word) {
    if (digit < '0' || digit > '7' || mask > 0777) {
      return fail(Errc::usage, fmt::format("{} is not an octal mask (0 to 0777)", quoted(word)));
    }
    mask = mask * 8 + static_cast<unsigned>(digit - '0');
  }
  if (mask > 0777) return fail(Errc::usage, fmt::format("{} is not an octal mask (0 to 0777)", quoted(word)));
  return mask;
}

template <class T, std::size_t N>
struct Choices {
  std::array<std::pair<std::string_view, T>, N> rows;

  [[nodiscard]] Result<T> operator()(const std::string& word) const {
    std::string known;
    for (const auto& [name, value] : rows) {
      if (equal_ignoring_case(name, word)) return value;
      known += (known.empty() ? "" : ", ") + std::string(name);
    }
    return fail(Errc::usage, fmt::format("{} is none of {}", quoted(word), known));
  }
};

constexpr Choices<tunnel::AddressFamily, 3> kFamilies{{{
    {"any", tunnel::AddressFamily::any},
    {"inet", tunnel::AddressFamily::ipv4},
    {"inet6", tunnel::AddressFamily::ipv6},
}}};

constexpr Choices<tunnel::HostKeyPolicy, 7> kHostKeyPolicies{{{
    {"yes", tunnel::HostKeyPolicy::yes},
    {"true", tunnel::HostKeyPolicy::yes},
    {"ask", tunnel::HostKeyPolicy::ask},
    {"accept-new", tunnel::HostKeyPolicy::accept_new},
    {"no", tunnel::HostKeyPolicy::no},
    {"false", tunnel::HostKeyPolicy::no},
    {"off", tunnel::HostKeyPolicy::no},
}}};

constexpr Choices<LogLevel, 9> kLogLevels{{{
    {"QUIET", LogLevel::error},
    {"FATAL", LogLevel::error},
    {"ERROR", LogLevel::error},
    {"INFO", LogLevel::notice},
    {"VERBOSE", LogLevel::verbose},
    {"DEBUG", LogLevel::verbose},
    {"DEBUG1", LogLevel::verbose},
    {"DEBUG2", LogLevel::debug},
    {"DEBUG3", LogLevel::trace},
}}};

Result<tunnel::AddressFamily> as_family(const std::string& word) { return kFamilies(word); }
Result<tunnel::HostKeyPolicy> as_host_key_policy(const std::string& word) { return kHostKeyPolicies(word); }
Result<LogLevel> as_log_level(const std::string& word) { return kLogLevels(word); }

constexpr std::string_view kNoCommands = "culvert runs no commands on the server";

// Whether it is the one that has no command.
Result<bool> as_session_type(const std::string& word) {
  if (equal_ignoring_case(word, "none")) return true;
  if (equal_ignoring_case(word, "default")) return false;
  return fail(Errc::usage, fmt::format("{}: {}; only none", quoted(word), kNoCommands));
}

template <class Row>
std::vector<std::string_view> names_of(std::span<const Row> rows) {
  std::vector<std::string_view> names;
  for (const Row& row : rows) names.push_back(row.name);
  return names;
}

using Names = std::vector<std::string>;

Result<Names> as_ciphers(const std::string& word) {
  return read_algorithm_list(word, names_of(crypto::ciphers()), "cipher");
}
Result<Names> as_macs(const std::string& word) {
  return read_algorithm_list(word, names_of(crypto::macs()), "mac");
}
Result<Names> as_key_exchanges(const std::string& word) {
  return read_algorithm_list(word, names_of(crypto::key_exchanges()), "kex");
}
Result<Names> as_host_keys(const std::string& word) {
  return read_algorithm_list(word, crypto::host_key_algorithms(), "HostKeyAlgorithms");
}
Result<Names> as_user_keys(const std::string& word) {
  return read_algorithm_list(word, crypto::user_key_algorithms(), "PubkeyAcceptedAlgorithms");
}
Result<Names> as_authority_signatures(const std::string& word) {
  return read_algorithm_list(word, crypto::authority_algorithms(), "sig");
}

Result<Names> as_methods(const std::string& word) {
  Names methods;
  for (const std::string_view name : split(word, ',')) {
    if (name == "publickey" || name == "keyboard-interactive" || name == "password")
      methods.emplace_back(name);
  }
  if (methods.empty()) {
    return fail(Errc::usage,
                fmt::format("{} names none of publickey, keyboard-interactive, password", quoted(word)));
  }
  return methods;
}

template <auto Field>
Result<void> set_files(Settings& settings, Words words) {
  Names files(words.begin(), words.end());
  if (files.size() == 1 && equal_ignoring_case(files[0], "none")) files.clear();
  set_once(settings.*Field, std::move(files));
  return {};
}

Result<void> add_identity(Settings& settings, Words words) {
  settings.identity_files.push_back(words[0]);
  return {};
}

Result<void> add_certificate(Settings& settings, Words words) {
  settings.certificate_files.push_back(words[0]);
  return {};
}

constexpr Choices<tunnel::AddKeys, 6> kAddKeys{{{
    {"yes", tunnel::AddKeys::yes},
    {"true", tunnel::AddKeys::yes},
    {"no", tunnel::AddKeys::no},
    {"false", tunnel::AddKeys::no},
    {"ask", tunnel::AddKeys::ask},
    {"confirm", tunnel::AddKeys::confirm},
}}};

// One of these, a time alone, or "confirm" and a time.
Result<void> set_add_keys(Settings& settings, Words words) {
  const auto choice = kAddKeys(words[0]);
  Duration lifetime{};
  if (choice && words.size() > 1) {
    if (*choice != tunnel::AddKeys::confirm)
      return fail(Errc::usage, fmt::format("one word too many: {}", quoted(words[1])));
    lifetime = TRY(parse_time(words[1]));
  } else if (!choice) {
    const auto time = parse_time(words[0]);
    if (!time || words.size() > 1) {
      return fail(Errc::usage,
                  fmt::format("{} is none of yes, no, ask, confirm, and no time", quoted(words[0])));
    }
    lifetime = *time;
  }
  if (settings.add_keys) return {};
  settings.add_keys = choice.value_or(tunnel::AddKeys::yes);
  settings.add_keys_lifetime = lifetime;
  return {};
}

// Whether to use keys at all, and whether a login names the host's key.
Result<void> set_public_key(Settings& settings, Words words) {
  const bool unbound = equal_ignoring_case(words[0], "unbound");
  const bool bound = equal_ignoring_case(words[0], "host-bound");
  const bool use = unbound || bound || TRY(parse_flag(words[0]));
  if (settings.public_key) return {};
  settings.public_key = use;
  settings.host_bound = !unbound;
  return {};
}

Result<void> add_local_forward(Settings& settings, Words words) {
  if (words.size() < 2) return fail(Errc::usage, "two words wanted: [bind:]port host:hostport");
  settings.local_forwards.push_back(TRY(parse_local_forward(words[0] + ':' + words[1])));
  return {};
}

Result<void> add_dynamic_forward(Settings& settings, Words words) {
  settings.dynamic_forwards.push_back(TRY(parse_dynamic_forward(words[0])));
  return {};
}

Result<std::string> as_jumps(const std::string& word) {
  if (!equal_ignoring_case(word, "none")) TRY(parse_jumps(word));
  return word;
}

Result<std::string> as_proxy_via(const std::string& word) {
  if (!equal_ignoring_case(word, "none")) TRY(parse_proxy_via(word));
  return word;
}

// There is one way: who speaks first decides.
template <auto Field, auto Parse>
Result<void> set_way(Settings& settings, Words words) {
  std::string value = TRY(Parse(words[0]));
  if (settings.proxy_command || settings.proxy_jump || settings.proxy_via) return {};
  settings.*Field = std::move(value);
  return {};
}

Result<void> set_permitted_remote(Settings& settings, Words words) {
  if (settings.permitted_remote) return {};
  std::vector<relay::HostPort> rules;
  const bool is_alone = words.size() == 1;
  if (is_alone && words[0] == "any") rules.push_back({"*", 0});
  if (!is_alone || (words[0] != "any" && words[0] != "none")) {
    for (const std::string& word : words) rules.push_back(TRY(parse_permitted(word)));
  }
  settings.permitted_remote = std::move(rules);
  return {};
}

// One word: a proxy at the server.
Result<void> add_remote_forward(Settings& settings, Words words) {
  settings.remote_forwards.push_back(
      TRY(parse_remote_forward(words.size() < 2 ? words[0] : words[0] + ':' + words[1])));
  return {};
}

Result<void> set_rekey_limit(Settings& settings, Words words) {
  ssh::RekeyPolicy policy;
  if (!equal_ignoring_case(words[0], "default") && !equal_ignoring_case(words[0], "none")) {
    policy.bytes = TRY(parse_size(words[0]));
    if (policy.bytes < 16) return fail(Errc::usage, fmt::format("{} is too small", quoted(words[0])));
  }
  if (words.size() > 1) policy.time = TRY(as_time(words[1]));
  set_once(settings.rekey, policy);
  return {};
}

Result<void> check_rsa_size(Settings&, Words words) {
  constexpr std::uint64_t kOurs = 2048;  // what crypto refuses below, keys of both sides
  const auto wanted = TRY(parse_number(words[0], 0, 1 << 20));
  if (wanted <= kOurs) return {};
  return fail(Errc::usage, fmt::format("culvert's own limit is {} bits, and it takes no other", kOurs));
}

Result<void> add_ignored(Settings& settings, Words words) {
  for (const std::string_view pattern : split(words[0], ',')) settings.ignored_keywords.emplace_back(pattern);
  return {};
}

constexpr Keyword works(std::string_view name, Applier apply, std::size_t max_words = 1) {
  return {.name = name, .effect = Effect::works, .apply = apply, .max_words = max_words};
}
constexpr Keyword nothing(std::string_view name) { return {.name = name}; }
constexpr Keyword refused(std::string_view name, std::string_view harmless, std::string_view why) {
  return {.name = name, .effect = Effect::refused, .harmless = harmless, .text = why, .max_words = 64};
}

constexpr std::string_view kNotYet = "not in this version of culvert";
constexpr std::string_view kNoGssapi = "culvert does not speak GSSAPI";
constexpr std::string_view kNoMaster = "culvert shares no connection with ssh; leave it out";
constexpr std::size_t kMany = 64;

constexpr Keyword kKeywords[] = {
    // The server
    works("AddressFamily", set<&Settings::family, as_family>),
    works("BindAddress", set<&Settings::bind_address, as_host>),
    works("BindInterface", set<&Settings::bind_interface, as_text>),
    works("ConnectionAttempts", set<&Settings::connection_attempts, as_count<1>>),
    works("ConnectTimeout", set<&Settings::connect_timeout, as_time>),
    works("HostName", set<&Settings::host_name, as_text>),  // %h: checked when it is expanded
    works("Port", set<&Settings::port, as_port>),
    {.name = "ProxyCommand",
     .effect = Effect::works,
     .apply = set_way<&Settings::proxy_command, as_text>,
     .is_raw = true},
    works("ProxyJump", set_way<&Settings::proxy_jump, as_jumps>),
    works("ProxyUseFdpass", set<&Settings::proxy_use_fdpass, as_flag>),
    works("ProxyVia", set_way<&Settings::proxy_via, as_proxy_via>),
    works("TCPKeepAlive", set<&Settings::tcp_keepalive, as_flag>),
    works("KeepAlive", set<&Settings::tcp_keepalive, as_flag>),
    works("User", set<&Settings::user, as_user>),
    // Its identity
    works("CASignatureAlgorithms", set<&Settings::authority_signatures, as_authority_signatures>),
    works("GlobalKnownHostsFile", set_files<&Settings::global_known_hosts>, kMany),
    works("HashKnownHosts", set<&Settings::hash_known_hosts, as_flag>),
    works("HostKeyAlias", set<&Settings::host_key_alias, as_host>),
    {.name = "KnownHostsCommand",
     .effect = Effect::works,
     .apply = set<&Settings::known_hosts_command, as_text>,
     .is_raw = true},
    works("RevokedHostKeys", set<&Settings::revoked_host_keys, as_text>),
    works("StrictHostKeyChecking", set<&Settings::host_key_policy, as_host_key_policy>),
    works("UserKnownHostsFile", set_files<&Settings::user_known_hosts>, kMany),
    // Logging in
    works("AddKeysToAgent", set_add_keys, 2),
    works("BatchMode", set<&Settings::batch, as_flag>),
    works("CertificateFile", add_certificate),
    works("IdentitiesOnly", set<&Settings::identities_only, as_flag>),
    works("IdentityAgent", set<&Settings::identity_agent, as_text>),
    works("IdentityFile", add_identity),
    works("KbdInteractiveAuthentication", set<&Settings::keyboard_interactive, as_flag>),
    works("ChallengeResponseAuthentication", set<&Settings::keyboard_interactive, as_flag>),
    works("NumberOfPasswordPrompts", set<&Settings::password_prompts, as_count<1>>),
    works("PasswordAuthentication", set<&Settings::password, as_flag>),
    works("PreferredAuthentications", set<&Settings::preferred_methods, as_methods>),
    works("PubkeyAuthentication", set_public_key),
    // The connection
    works("Ciphers", set<&Settings::ciphers, as_ciphers>),
    works("HostKeyAlgorithms", set<&Settings::host_keys, as_host_keys>),
    works("KexAlgorithms", set<&Settings::key_exchanges, as_key_exchanges>),
    works("MACs", set<&Settings::macs, as_macs>),
    works("PubkeyAcceptedAlgorithms", set<&Settings::user_signatures, as_user_keys>),
    works("PubkeyAcceptedKeyTypes", set<&Settings::user_signatures, as_user_keys>),
    works("RequiredRSASize", check_rsa_size),
    works("RekeyLimit", set_rekey_limit, 2),
    works("ServerAliveCountMax", set<&Settings::alive_count, as_count<1>>),
    works("ServerAliveInterval", set<&Settings::alive_interval, as_time>),
    // Forwards
    works("ClearAllForwardings", set<&Settings::clear_forwardings, as_flag>),
    works("DynamicForward", add_dynamic_forward),
    works("ExitOnForwardFailure", set<&Settings::exit_on_forward_failure, as_flag>),
    works("GatewayPorts", set<&Settings::gateway_ports, as_flag>),
    works("LocalForward", add_local_forward, 2),
    works("PermitRemoteOpen", set_permitted_remote, kMany),
    works("RemoteForward", add_remote_forward, 2),
    works("SessionType", set<&Settings::no_command, as_session_type>),
    works("StreamLocalBindMask", set<&Settings::socket_mask, as_mask>),
    works("StreamLocalBindUnlink", set<&Settings::unlink_sockets, as_flag>),
    // The program
    works("ForkAfterAuthentication", set<&Settings::background, as_flag>),
    works("IgnoreUnknown", add_ignored),
    works("LogLevel", set<&Settings::log_level, as_log_level>),
    works("StdinNull", set<&Settings::no_input, as_flag>),

    // What matters and is not there
    refused("CanonicalizeHostname", "no,false,none", kNotYet),
    refused("ChannelTimeout", "none", kNotYet),
    refused("Compression", "no,false", "culvert does not compress; leave it out"),
    refused("ControlMaster", "no,false", kNoMaster),
    refused("ControlPath", "none", kNoMaster),
    refused("ControlPersist", "no,false", kNoMaster),
    refused("FingerprintHash", "sha256", "culvert shows SHA256 fingerprints alone"),
    refused("GSSAPIAuthentication", "no,false", kNoGssapi),
    refused("GSSAPIKeyExchange", "no,false", kNoGssapi),
    refused("Host", "", "stands in configuration files, not on the command line"),
    refused("HostbasedAuthentication", "no,false", "culvert does not log in by host"),
    refused("Include", "", "ssh_config files are not read yet"),
    refused("Match", "", "stands in configuration files, not on the command line"),
    refused("NoHostAuthenticationForLocalhost", "no,false",
            "not in this version of culvert; see StrictHostKeyChecking"),
    refused("PKCS11Provider", "none", kNotYet),
    refused("PermitLocalCommand", "no,false", "culvert runs no commands"),
    refused("RefuseConnection", "none", kNotYet),
    refused("RemoteCommand", "none", kNoCommands),
    refused("SecurityKeyProvider", "none,internal", kNotYet),
    refused("Tunnel", "no,false", "culvert forwards streams, not packets"),
    refused("VerifyHostKeyDNS", "no,false", kNotYet),
    refused("VisualHostKey", "no,false", "culvert draws no keys"),

    // What changes nothing: shells, terminals, programs on the server, and switches of things refused above
    nothing("CanonicalDomains"),
    nothing("CanonicalizeFallbackLocal"),
    nothing("CanonicalizeMaxDots"),
    nothing("CanonicalizePermittedCNAMEs"),
    nothing("CheckHostIP"),
    nothing("CompressionLevel"),
    nothing("EnableEscapeCommandline"),
    nothing("EnableSSHKeysign"),
    nothing("EscapeChar"),
    nothing("ForwardAgent"),
    nothing("ForwardX11"),
    nothing("ForwardX11Timeout"),
    nothing("ForwardX11Trusted"),
    nothing("GSSAPIClientIdentity"),
    nothing("GSSAPIDelegateCredentials"),
    nothing("GSSAPIKexAlgorithms"),
    nothing("GSSAPIRenewalForcesRekey"),
    nothing("GSSAPIServerIdentity"),
    nothing("GSSAPITrustDns"),
    nothing("HostbasedAcceptedAlgorithms"),
    nothing("HostbasedKeyTypes"),
    nothing("IPQoS"),
    nothing("KbdInteractiveDevices"),
    nothing("LocalCommand"),
    nothing("LogVerbose"),
    nothing("ObscureKeystrokeTiming"),
    nothing("Protocol"),
    nothing("RequestTTY"),
    nothing("SendEnv"),
    nothing("SetEnv"),
    nothing("SyslogFacility"),
    nothing("Tag"),
    nothing("TunnelDevice"),
    nothing("UpdateHostKeys"),
    nothing("UsePrivilegedPort"),
    nothing("VersionAddendum"),
    nothing("WarnWeakCrypto"),
    nothing("XAuthLocation"),
};

}  // namespace

std::span<const Keyword> keywords() { return kKeywords; }

}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/algorithm_list.hpp"
#include "cli/endpoint_spec.hpp"
#include "cli/keyword_values.hpp"
#include "cli/keywords.hpp"
#include "cli/values.hpp"
#include "crypto/algorithms.hpp"
#include "crypto/key_algorithms.hpp"

namespace culvert::cli {
namespace {

using Applier = Result<void> (*)(Settings&, Words);
using Shower = Names (*)(const Settings&);

// set<> joins a parser of one word with a field of Settings, show<> the field with what writes it, field<>
// both with the keyword's name.
template <auto Field, auto Parse>
Result<void> set(Settings& settings, Words words) {
  set_once(settings.*Field, TRY(Parse(words[0])));
  return {};
}

template <auto Field>
Names show(const Settings& settings) {
  if (!(settings.*Field)) return {};
  return {text_of(*(settings.*Field))};
}

template <auto Field, auto Text>
Names show_as(const Settings& settings) {
  if (!(settings.*Field)) return {};
  return {Text(*(settings.*Field))};
}

// Whoever shares a file with ssh wants no error for what ssh alone has, but may want to know.
template <auto Field, auto Parse>
Result<void> set_algorithms(Settings& settings, Words words) {
  Names names = TRY(Parse(words[0]));
  if (settings.*Field) return {};
  settings.*Field = std::move(names);
  const auto left_out = left_out_of_list(words[0], Parse("*").value_or(Names()));
  if (!left_out.empty())
    settings.notes.push_back(fmt::format("culvert lacks {}: the others of the list count", left_out));
  return {};
}

// All that culvert has count where no list was given.
template <auto Field, auto Parse>
Names show_algorithms(const Settings& settings) {
  if (settings.*Field) return {text_of_list(*(settings.*Field))};
  return {text_of_list(Parse("*").value_or(Names()))};
}

template <auto Field>
Names show_all(const Settings& settings) {
  return settings.*Field;
}

constexpr std::string_view kNoCommands = "culvert runs no commands on the server";

// Whether it is the one that has no command.
Result<bool> as_session_type(const std::string& word) {
  if (equal_ignoring_case(word, "none")) return true;
  if (equal_ignoring_case(word, "default")) return false;
  return fail(Errc::unsupported, fmt::format("{}: {}; only none", in_quotes(word), kNoCommands));
}

std::string text_of_session_type(bool without_command) { return without_command ? "none" : "default"; }

template <auto Field>
Result<void> set_files(Settings& settings, Words words) {
  set_once(settings.*Field, Names(words.begin(), words.end()));
  return {};
}

template <auto Field>
Result<void> add_file(Settings& settings, Words words) {
  add_once(settings.*Field, words[0]);
  return {};
}

// One of yes, no, ask and confirm, a time alone, or "confirm" and a time.
Result<void> set_add_keys(Settings& settings, Words words) {
  using tunnel::AddKeys;
  constexpr std::array<std::pair<std::string_view, AddKeys>, 6> kChoices = {{
      {"yes", AddKeys::yes},
      {"true", AddKeys::yes},
      {"no", AddKeys::no},
      {"false", AddKeys::no},
      {"ask", AddKeys::ask},
      {"confirm", AddKeys::confirm},
  }};
  const auto* row = std::ranges::find_if(
      kChoices, [&](const auto& choice) { return equal_ignoring_case(choice.first, words[0]); });
  const bool is_choice = row != kChoices.end();
  AddKeys choice = is_choice ? row->second : AddKeys::yes;
  Duration lifetime{};
  if (is_choice && words.size() > 1) {
    if (choice != AddKeys::confirm)
      return fail(Errc::usage, fmt::format("one word too many: {}", in_quotes(words[1])));
    lifetime = TRY(parse_time(words[1]));
  } else if (!is_choice) {
    const auto time = parse_time(words[0]);
    if (!time || words.size() > 1) {
      return fail(Errc::usage,
                  fmt::format("{} is none of yes, no, ask, confirm, and no time", in_quotes(words[0])));
    }
    lifetime = *time;
  }
  if (settings.add_keys) return {};
  settings.add_keys = choice;
  settings.add_keys_lifetime = lifetime;
  return {};
}

Names show_add_keys(const Settings& settings) {
  using tunnel::AddKeys;
  if (!settings.add_keys) return {};
  const Duration lifetime = settings.add_keys_lifetime.value_or(Duration::zero());
  const bool confirms = *settings.add_keys == AddKeys::confirm;
  if (lifetime != Duration::zero()) return {(confirms ? "confirm " : "") + text_of(lifetime)};
  if (confirms) return {"confirm"};
  if (*settings.add_keys == AddKeys::ask) return {"ask"};
  return {*settings.add_keys == AddKeys::yes ? "true" : "false"};
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

Names show_public_key(const Settings& settings) {
  if (!settings.public_key) return {};
  if (!*settings.public_key) return {"false"};
  return {settings.host_bound.value_or(true) ? "true" : "unbound"};
}

Result<void> add_local_forward(Settings& settings, Words words) {
  if (words.size() < 2) return fail(Errc::usage, "two words wanted: [bind:]port host:hostport");
  add_once(settings.local_forwards, TRY(parse_local_forward(words[0] + ':' + words[1])));
  return {};
}

Names show_local_forwards(const Settings& settings) {
  Names lines;
  for (const daemon::LocalForward& forward : settings.local_forwards)
    lines.push_back(text_of_listener(forward.listen.endpoint) + ' ' + text_of(forward.destination));
  return lines;
}

Result<void> add_dynamic_forward(Settings& settings, Words words) {
  add_once(settings.dynamic_forwards, TRY(parse_dynamic_forward(words[0])));
  return {};
}

Names show_dynamic_forwards(const Settings& settings) {
  Names lines;
  for (const daemon::DynamicForward& forward : settings.dynamic_forwards)
    lines.push_back(text_of_listener(forward.listen.endpoint));
  return lines;
}

// One word: a proxy at the server.
Result<void> add_remote_forward(Settings& settings, Words words) {
  add_once(settings.remote_forwards,
           TRY(parse_remote_forward(words.size() < 2 ? words[0] : words[0] + ':' + words[1])));
  return {};
}

Names show_remote_forwards(const Settings& settings) {
  Names lines;
  for (const daemon::RemoteForward& forward : settings.remote_forwards) {
    lines.push_back(text_of_listener(forward.listen) + ' ' +
                    (forward.destination ? text_of(*forward.destination) : "[socks]:0"));
  }
  return lines;
}

// There is one way: who speaks first decides.
template <auto Field, auto Parse>
Result<void> set_way(Settings& settings, Words words) {
  std::string value = TRY(Parse(words[0]));
  if (settings.proxy_command || settings.proxy_jump || settings.proxy_via) return {};
  settings.*Field = std::move(value);
  return {};
}

// As in ssh, "ProxyJump none" does not keep it away.
Result<void> set_proxy_command(Settings& settings, Words words) {
  const bool jumps = settings.proxy_jump && !equal_ignoring_case(*settings.proxy_jump, "none");
  if (!jumps && !settings.proxy_via) set_once(settings.proxy_command, words[0]);
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

Names show_permitted_remote(const Settings& settings) {
  if (!settings.permitted_remote) return {};
  Names words;
  for (const relay::HostPort& rule : *settings.permitted_remote) {
    if (rule == relay::HostPort{"*", 0} && settings.permitted_remote->size() == 1) return {"any"};
    const bool is_ipv6 = rule.host.contains(':');
    words.push_back(fmt::format("{}{}{}:{}", is_ipv6 ? "[" : "", rule.host, is_ipv6 ? "]" : "",
                                rule.port == 0 ? "*" : std::to_string(rule.port)));
  }
  return {words.empty() ? "none" : text_of_words(words)};
}

Result<void> set_rekey_limit(Settings& settings, Words words) {
  ssh::RekeyPolicy policy;
  if (!equal_ignoring_case(words[0], "default") && !equal_ignoring_case(words[0], "none")) {
    policy.bytes = TRY(parse_size(words[0]));
    if (policy.bytes < 16) return fail(Errc::usage, fmt::format("{} is too small", in_quotes(words[0])));
  }
  if (words.size() > 1) policy.time = TRY(as_time(words[1]));
  set_once(settings.rekey, policy);
  return {};
}

Names show_rekey_limit(const Settings& settings) {
  if (!settings.rekey) return {};
  return {fmt::format("{} {}", settings.rekey->bytes, text_of(settings.rekey->time))};
}

constexpr std::uint64_t kRsaBits = 2048;  // what crypto refuses below, keys of both sides

Result<void> check_rsa_size(Settings&, Words words) {
  const auto wanted = TRY(parse_number(words[0], 0, 1 << 20));
  if (wanted <= kRsaBits) return {};
  return fail(Errc::unsupported,
              fmt::format("culvert's own limit is {} bits, and it takes no other", kRsaBits));
}

Names show_rsa_size(const Settings&) { return {std::to_string(kRsaBits)}; }

Names show_alive_count(const Settings& settings) { return {text_of(alive_count(settings))}; }

// "x y:z": rules for the names that CanonicalizeHostname may follow.
Result<void> set_permitted_cnames(Settings& settings, Words words) {
  Names rules(words.begin(), words.end());
  if (rules.size() == 1 && equal_ignoring_case(rules[0], "none")) rules.clear();
  for (const std::string& rule : rules) {
    const auto colon = rule.find(':');
    if (colon == 0 || colon == std::string::npos || colon + 1 == rule.size())
      return fail(Errc::usage, fmt::format("{} is not source-domains:target-domains", in_quotes(rule)));
  }
  set_once(settings.permitted_cnames, std::move(rules));
  return {};
}

Result<void> set_canonical_domains(Settings& settings, Words words) {
  Names domains(words.begin(), words.end());
  if (domains.size() == 1 && equal_ignoring_case(domains[0], "none")) domains.clear();
  for (const std::string& domain : domains) TRY(check_host_name(domain));
  set_once(settings.canonical_domains, std::move(domains));
  return {};
}

template <auto Field>
Names show_words(const Settings& settings) {
  if (!(settings.*Field)) return {};
  return {(settings.*Field)->empty() ? "none" : text_of_words(*(settings.*Field))};
}

constexpr std::size_t kMany = 64;

constexpr Keyword works(std::string_view name, Applier apply, Shower show, std::string_view unset = {},
                        std::size_t max_words = 1) {
  return {.name = name,
          .effect = Effect::works,
          .apply = apply,
          .show = show,
          .unset = unset,
          .max_words = max_words};
}
template <auto Field, auto Parse>
constexpr Keyword field(std::string_view name, std::string_view unset = {}) {
  return works(name, set<Field, Parse>, show<Field>, unset);
}
template <auto Field, auto Parse>
constexpr Keyword algorithms(std::string_view name) {
  return works(name, set_algorithms<Field, Parse>, show_algorithms<Field, Parse>);
}
template <auto Field>
constexpr Keyword files(std::string_view name) {
  return works(name, set_files<Field>, show_as<Field, text_of_words>, {}, kMany);
}
template <auto Field>
constexpr Keyword more_files(std::string_view name) {
  return works(name, add_file<Field>, show_all<Field>);
}
constexpr Keyword other_name(std::string_view name, std::string_view of) {
  return {.name = name, .effect = Effect::works, .same_as = of};
}
constexpr Keyword nothing(std::string_view name, std::string_view unset = {}, std::string_view spelling = {},
                          Kept kept = Kept::words) {
  return {.name = name, .unset = unset, .kept = kept, .spelling = spelling};
}
constexpr Keyword gone(std::string_view name) { return {.name = name, .kept = Kept::not_at_all}; }
constexpr Keyword refused(std::string_view name, std::string_view harmless, std::string_view unset,
                          std::string_view spelling, std::string_view why) {
  return {.name = name,
          .effect = Effect::refused,
          .unset = unset,
          .harmless = harmless,
          .text = why,
          .spelling = spelling};
}
constexpr Keyword refused_line(std::string_view name, std::string_view why) {
  return {.name = name, .effect = Effect::refused, .harmless = "none", .text = why, .is_raw = true};
}

constexpr std::string_view kFlag = "true=yes,false=no";
constexpr std::string_view kState = "yes=true,no=false";
constexpr std::string_view kNotYet = "not in this version of culvert";
constexpr std::string_view kNoGssapi = "culvert does not speak GSSAPI";
constexpr std::string_view kNoMaster = "culvert shares no connection with ssh; leave it out";

constexpr Keyword kKeywords[] = {
    // The server
    field<&Settings::family, as_family>("AddressFamily", "any"),
    field<&Settings::bind_address, as_host>("BindAddress"),
    field<&Settings::bind_interface, as_text>("BindInterface"),
    works("CanonicalDomains", set_canonical_domains, show_words<&Settings::canonical_domains>, "none", kMany),
    field<&Settings::canonical_fallback_local, as_flag>("CanonicalizeFallbackLocal", "yes"),
    field<&Settings::canonicalize, as_canonicalize>("CanonicalizeHostname", "false"),
    field<&Settings::canonical_max_dots, as_count<0>>("CanonicalizeMaxDots", "1"),
    works("CanonicalizePermittedCNAMEs", set_permitted_cnames, show_words<&Settings::permitted_cnames>,
          "none", kMany),
    field<&Settings::connection_attempts, as_count<1>>("ConnectionAttempts", "1"),
    field<&Settings::connect_timeout, as_time>("ConnectTimeout", "none"),
    field<&Settings::host_name, as_text>("HostName"),
    field<&Settings::port, as_port>("Port"),
    {.name = "ProxyCommand",
     .effect = Effect::works,
     .apply = set_proxy_command,
     .show = show<&Settings::proxy_command>,
     .is_raw = true},
    works("ProxyJump", set_way<&Settings::proxy_jump, as_jumps>,
          show_as<&Settings::proxy_jump, text_of_jumps>),
    field<&Settings::proxy_use_fdpass, as_flag>("ProxyUseFdpass", "no"),
    works("ProxyVia", set_way<&Settings::proxy_via, as_proxy_via>,
          show_as<&Settings::proxy_via, text_of_proxy_via>),
    field<&Settings::refusal, as_text>("RefuseConnection"),
    field<&Settings::tag, as_text>("Tag"),
    field<&Settings::tcp_keepalive, as_flag>("TCPKeepAlive", "yes"),
    other_name("KeepAlive", "TCPKeepAlive"),
    field<&Settings::user, as_user>("User"),
    // Its identity
    algorithms<&Settings::authority_signatures, as_authority_signatures>("CASignatureAlgorithms"),
    field<&Settings::check_address, as_flag>("CheckHostIP", "no"),
    files<&Settings::global_known_hosts>("GlobalKnownHostsFile"),
    field<&Settings::hash_known_hosts, as_flag>("HashKnownHosts", "no"),
    field<&Settings::host_key_alias, as_text>("HostKeyAlias"),
    {.name = "KnownHostsCommand",
     .effect = Effect::works,
     .apply = set<&Settings::known_hosts_command, as_text>,
     .show = show<&Settings::known_hosts_command>,
     .is_raw = true},
    field<&Settings::revoked_host_keys, as_text>("RevokedHostKeys"),
    field<&Settings::host_key_policy, as_host_key_policy>("StrictHostKeyChecking", "ask"),
    files<&Settings::user_known_hosts>("UserKnownHostsFile"),
    // Logging in
    works("AddKeysToAgent", set_add_keys, show_add_keys, "false", 2),
    field<&Settings::batch, as_flag>("BatchMode", "no"),
    more_files<&Settings::certificate_files>("CertificateFile"),
    field<&Settings::identities_only, as_flag>("IdentitiesOnly", "no"),
    field<&Settings::identity_agent, as_text>("IdentityAgent"),
    more_files<&Settings::identity_files>("IdentityFile"),
    field<&Settings::keyboard_interactive, as_flag>("KbdInteractiveAuthentication", "yes"),
    other_name("ChallengeResponseAuthentication", "KbdInteractiveAuthentication"),
    other_name("SkeyAuthentication", "KbdInteractiveAuthentication"),
    other_name("TISAuthentication", "KbdInteractiveAuthentication"),
    other_name("DSAAuthentication", "PubkeyAuthentication"),
    other_name("IdentityFile2", "IdentityFile"),
    field<&Settings::password_prompts, as_count<0>>("NumberOfPasswordPrompts", "3"),
    field<&Settings::password, as_flag>("PasswordAuthentication", "yes"),
    works("PreferredAuthentications", set<&Settings::preferred_methods, as_methods>,
          show_as<&Settings::preferred_methods, text_of_list>),
    works("PubkeyAuthentication", set_public_key, show_public_key, "true"),
    // The connection
    algorithms<&Settings::ciphers, as_ciphers>("Ciphers"),
    algorithms<&Settings::host_keys, as_host_keys>("HostKeyAlgorithms"),
    algorithms<&Settings::key_exchanges, as_key_exchanges>("KexAlgorithms"),
    algorithms<&Settings::macs, as_macs>("MACs"),
    algorithms<&Settings::user_signatures, as_user_keys>("PubkeyAcceptedAlgorithms"),
    other_name("PubkeyAcceptedKeyTypes", "PubkeyAcceptedAlgorithms"),
    works("RequiredRSASize", check_rsa_size, show_rsa_size),
    works("RekeyLimit", set_rekey_limit, show_rekey_limit, "0 3600", 2),
    works("ServerAliveCountMax", set<&Settings::alive_count, as_count<0>>, show_alive_count),
    field<&Settings::alive_interval, as_time>("ServerAliveInterval", "30"),
    other_name("ProtocolKeepAlives", "ServerAliveInterval"),  // of Debian, as the next one
    other_name("SetupTimeOut", "ServerAliveInterval"),
    // Forwards
    field<&Settings::clear_forwardings, as_flag>("ClearAllForwardings", "no"),
    works("DynamicForward", add_dynamic_forward, show_dynamic_forwards),
    field<&Settings::exit_on_forward_failure, as_flag>("ExitOnForwardFailure", "yes"),
    field<&Settings::gateway_ports, as_flag>("GatewayPorts", "no"),
    works("LocalForward", add_local_forward, show_local_forwards, "", 2),
    works("PermitRemoteOpen", set_permitted_remote, show_permitted_remote, "any", kMany),
    works("RemoteForward", add_remote_forward, show_remote_forwards, "", 2),
    works("SessionType", set<&Settings::no_command, as_session_type>,
          show_as<&Settings::no_command, text_of_session_type>, "default"),
    works("StreamLocalBindMask", set<&Settings::socket_mask, as_mask>,
          show_as<&Settings::socket_mask, text_of_mask>, "0177"),
    field<&Settings::unlink_sockets, as_flag>("StreamLocalBindUnlink", "no"),
    // The program
    field<&Settings::background, as_flag>("ForkAfterAuthentication", "no"),
    field<&Settings::ignored_keywords, as_text>("IgnoreUnknown"),
    field<&Settings::verbosity, as_verbosity>("LogLevel", "INFO"),
    field<&Settings::no_input, as_flag>("StdinNull", "no"),

    // What matters and is not there
    refused("ChannelTimeout", "none", "", "", kNotYet),
    refused("Compression", "no,false", "no", kFlag, "culvert does not compress; leave it out"),
    refused("ControlMaster", "no,false", "false", kState, kNoMaster),
    refused("ControlPath", "none", "", "", kNoMaster),
    {.name = "ControlPersist",
     .effect = Effect::refused,
     .unset = "no",
     .harmless = "no,false",
     .text = kNoMaster,
     .kept = Kept::time,
     .spelling = "true=yes,false=no,0=yes"},
    refused("FingerprintHash", "sha256", "SHA256", "sha256=SHA256,md5=MD5",
            "culvert shows SHA256 fingerprints alone"),
    refused("GSSAPIAuthentication", "no,false", "no", kFlag, kNoGssapi),
    refused("GSSAPIKeyExchange", "no,false", "no", kFlag, kNoGssapi),
    refused("Host", "", "", "", "stands in configuration files, not on the command line"),
    refused("HostbasedAuthentication", "no,false", "no", kFlag, "culvert does not log in by host"),
    refused("Include", "", "", "", "stands in configuration files, not on the command line"),
    refused("Match", "", "", "", "stands in configuration files, not on the command line"),
    refused("NoHostAuthenticationForLocalhost", "no,false", "no", kFlag,
            "not in this version of culvert; see StrictHostKeyChecking"),
    refused("PKCS11Provider", "none", "", "", kNotYet),
    {.name = "SmartcardDevice", .effect = Effect::refused, .text = kNotYet, .same_as = "PKCS11Provider"},
    refused("PermitLocalCommand", "no,false", "no", kFlag, "culvert runs no commands"),
    refused_line("RemoteCommand", kNoCommands),
    refused("SecurityKeyProvider", "none,internal", "internal", "", kNotYet),
    refused("Tunnel", "no,false", "false", "yes=point-to-point,true=point-to-point,no=false",
            "culvert forwards streams, not packets"),
    refused("VerifyHostKeyDNS", "no,false", "false", kState, kNotYet),
    refused("VisualHostKey", "no,false", "no", kFlag, "culvert draws no keys"),

    // What changes nothing: shells, terminals, programs on the server, and switches of things refused above
    gone("AFSTokenPassing"),
    gone("Cipher"),
    gone("CompressionLevel"),
    nothing("EnableEscapeCommandline", "no", kFlag),
    nothing("EnableSSHKeysign", "no", kFlag),
    nothing("EscapeChar", "~"),
    gone("FallBackToRsh"),
    nothing("ForwardAgent", "no", kFlag),
    nothing("ForwardX11", "no", kFlag),
    nothing("ForwardX11Timeout", "1200", "", Kept::time),
    nothing("ForwardX11Trusted", "yes", kFlag),
    gone("GlobalKnownHostsFile2"),
    nothing("GSSAPIClientIdentity"),
    nothing("GSSAPIDelegateCredentials", "no", kFlag),
    nothing("GSSAPIKexAlgorithms"),
    nothing("GSSAPIRenewalForcesRekey", "no", kFlag),
    nothing("GSSAPIServerIdentity"),
    nothing("GSSAPITrustDns", "no", kFlag),
    nothing("HostbasedAcceptedAlgorithms"),
    {.name = "HostbasedKeyTypes", .same_as = "HostbasedAcceptedAlgorithms"},
    nothing("IPQoS", "lowdelay throughput"),
    nothing("KbdInteractiveDevices"),
    gone("KerberosAuthentication"),
    gone("KerberosTGTPassing"),
    {.name = "LocalCommand", .is_raw = true},
    nothing("LogVerbose", "none"),
    nothing("ObscureKeystrokeTiming"),
    gone("Protocol"),
    nothing("RequestTTY", "auto", kState),
    gone("RhostsAuthentication"),
    gone("RhostsRSAAuthentication"),
    gone("RSAAuthentication"),
    nothing("SendEnv", "", "", Kept::more_lines),
    nothing("SetEnv", "", "", Kept::lines),
    nothing("SyslogFacility", "USER"),
    nothing("TunnelDevice", "any:any"),
    nothing("UpdateHostKeys", "true", kState),
    gone("UseBlacklistedKeys"),
    gone("UsePrivilegedPort"),
    gone("UserKnownHostsFile2"),
    gone("UseRoaming"),
    gone("UseRsh"),
    nothing("VersionAddendum"),
    nothing("WarnWeakCrypto"),
    nothing("XAuthLocation"),
};

}  // namespace

std::span<const Keyword> keywords() { return kKeywords; }

}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <utility>

#include <fmt/format.h>

#include "cli/endpoint_spec.hpp"
#include "cli/options.hpp"
#include "cli/values.hpp"

namespace culvert::cli {
namespace {

Result<void> keyword(CommandLine& line, std::string_view name, const std::string& value) {
  const std::array words = {value};
  return apply_keyword(line.settings, name, words);
}

// In ssh the last -B, -b, -c and -m count, and they count more than their keywords.
template <class T>
Result<void> keyword_anew(CommandLine& line, std::optional<T>& field, std::string_view name,
                          const std::string& value) {
  field.reset();
  return keyword(line, name, value);
}

template <tunnel::AddressFamily Family>
Result<void> use_family(CommandLine& line, const std::string&) {
  line.settings.family = Family;
  return {};
}

template <auto Field>
Result<void> switch_on(CommandLine& line, const std::string&) {
  line.settings.*Field = true;
  return {};
}

// What changes nothing is kept for -G. In ssh a letter counts more than its keyword.
Result<void> keep_anew(CommandLine& line, std::string_view name, const std::string& value) {
  line.settings.kept.erase(lower(name));
  return keyword(line, name, value);
}

constexpr std::string_view kTerminal = "RequestTTY";

Result<void> use_terminal(CommandLine& line, const std::string&) {
  const auto& kept = line.settings.kept;
  const auto row = kept.find(lower(kTerminal));
  const bool again = row != kept.end() && row->second == std::vector<std::string>{"true"};
  return keep_anew(line, kTerminal, again ? "force" : "yes");
}

Result<void> use_no_command(CommandLine& line, const std::string&) {
  line.settings.no_command = true;
  return keep_anew(line, kTerminal, "no");
}

template <Action What>
Result<void> act(CommandLine& line, const std::string& value) {
  line.action = What;
  line.query = value;
  return {};
}

Result<void> add_forward(CommandLine& line, const std::string& value) {
  add_once(line.settings.local_forwards, TRY(parse_local_forward(value)));
  return {};
}

Result<void> add_dynamic_forward(CommandLine& line, const std::string& value) {
  add_once(line.settings.dynamic_forwards, TRY(parse_dynamic_forward(value)));
  return {};
}

Result<void> add_remote_forward(CommandLine& line, const std::string& value) {
  add_once(line.settings.remote_forwards, TRY(parse_remote_forward(value)));
  return {};
}

Result<void> add_accept_proxy(CommandLine& line, const std::string& value) {
  add_once(line.settings.accept_proxy, TRY(IpNetwork::parse(value)));
  return {};
}

Result<void> set_send_proxy(CommandLine& line, const std::string& value) {
  set_once(line.settings.send_proxy, TRY(parse_proxy_version(value)));
  return {};
}

Result<void> set_on_listen(CommandLine& line, const std::string& value) {
  set_once(line.settings.on_listen, value);
  return {};
}

Result<void> set_proxy_auth(CommandLine& line, const std::string& value) {
  set_once(line.settings.proxy_auth, value);
  return {};
}

Result<void> set_stdio(CommandLine& line, const std::string& value) {
  if (line.settings.stdio) return fail(Errc::usage, "given twice; there is one standard input");
  line.settings.stdio = TRY(parse_stdio_destination(value));
  return use_no_command(line, value);
}

Result<void> say_more(CommandLine& line, const std::string&) {
  Verbosity& verbosity = line.settings.verbosity.emplace(line.settings.verbosity.value_or(Verbosity::info));
  if (!std::exchange(line.says_more, true)) {
    verbosity = Verbosity::debug1;
  } else if (verbosity < Verbosity::debug3) {
    verbosity = static_cast<Verbosity>(static_cast<int>(verbosity) + 1);
  }
  return {};
}

Result<void> say_less(CommandLine& line, const std::string&) {
  line.settings.verbosity = Verbosity::quiet;
  return {};
}

Result<void> set_log_file(CommandLine& line, const std::string& value) {
  if (value.empty()) return fail(Errc::usage, "the file's name is empty");
  line.settings.log_file = value;
  return {};
}

Result<void> set_config_file(CommandLine& line, const std::string& value) {
  line.config_file = value;
  return {};
}

// The rest of the line still counts.
Result<void> show_configuration(CommandLine& line, const std::string&) {
  line.shows_configuration = true;
  return {};
}

// In ssh's words. A keyword that comes too late is passed over; who writes -J means it.
Result<void> set_jumps(CommandLine& line, const std::string& value) {
  const auto& settings = line.settings;
  if (settings.proxy_jump) {
    return fail(Errc::usage,
                "Only a single -J option is permitted (use commas to separate multiple jump hops)");
  }
  if (settings.proxy_command) return fail(Errc::usage, "Cannot specify -J with ProxyCommand");
  if (settings.proxy_via) return fail(Errc::usage, "Cannot specify -J with ProxyVia");
  return keyword(line, "ProxyJump", value);
}

Result<void> add_identity(CommandLine& line, const std::string& value) {
  line.identity_letters.push_back(value);
  return keyword(line, "IdentityFile", value);
}

Result<void> set_tag(CommandLine& line, const std::string& value) { return keyword(line, "Tag", value); }

Result<void> check_no_master(CommandLine&, const std::string& value) {
  if (equal_ignoring_case(value, "none")) return {};
  return fail(Errc::usage, "culvert shares no connection with ssh; only -S none");
}

constexpr Effect kWorks = Effect::works;
constexpr Effect kNothing = Effect::nothing;
constexpr Effect kRefused = Effect::refused;

// -L, -R, -D and -W first, since --help opens with them.
constexpr Letter kLetters[] = {
    {'L', "[bind:]port:host:hostport", kWorks, "listen here, connect from the server", add_forward},
    {'R', "[bind:]port:host:hostport", kWorks, "listen there, connect from here", add_remote_forward},
    {'D', "[bind:]port", kWorks, "SOCKS and HTTP proxy here, out there", add_dynamic_forward},
    {'W', "host:port", kWorks, "join standard input and output to it", set_stdio},
    {'B', "interface", kWorks, "",
     [](CommandLine& line, const std::string& value) {
       return keyword_anew(line, line.settings.bind_interface, "BindInterface", value);
     }},
    {'b', "address", kWorks, "connect from here",
     [](CommandLine& line, const std::string& value) {
       return keyword_anew(line, line.settings.bind_address, "BindAddress", value);
     }},
    {'c', "ciphers", kWorks, "ciphers, best first",
     [](CommandLine& line, const std::string& value) {
       return keyword_anew(line, line.settings.ciphers, "Ciphers", value);
     }},
    {'E', "file", kWorks, "append the log to it", set_log_file},
    {'F', "file", kWorks, "read this, or none", set_config_file},
    {'f', "", kWorks, "to background when ready",
     [](CommandLine& line, const std::string&) -> Result<void> {
       line.settings.background = true;
       line.settings.no_input = true;
       return {};
     }},
    {'g', "", kWorks, "let others use them", switch_on<&Settings::gateway_ports>},
    {'G', "", kWorks, "show what is configured", show_configuration},
    {'h', "", kWorks, "", act<Action::help>},
    {'i', "file", kWorks, "private key to log in", add_identity},
    {'J', "hosts", kWorks, "through these, a,b,c", set_jumps},
    {'l', "user", kWorks, "whom to log in as",
     [](CommandLine& line, const std::string& value) { return keyword(line, "User", value); }},
    {'m', "macs", kWorks, "MACs, best first",
     [](CommandLine& line, const std::string& value) {
       return keyword_anew(line, line.settings.macs, "MACs", value);
     }},
    {'N', "", kWorks, "log in, even with no -L", use_no_command},
    {'n', "", kWorks, "", switch_on<&Settings::no_input>},
    {'o', "Key=value", kWorks, "keyword of ssh_config",
     [](CommandLine& line, const std::string& value) { return apply_keyword_line(line.settings, value); }},
    {'P', "tag", kWorks, "", set_tag},
    {'p', "port", kWorks, "port of the server",
     [](CommandLine& line, const std::string& value) { return keyword(line, "Port", value); }},
    {'Q', "what", kWorks, "list: cipher, mac, kex", act<Action::query>},
    {'q', "", kWorks, "print errors alone", say_less},
    {'V', "", kWorks, "print the version", act<Action::version>},
    {'v', "", kWorks, "print more; up to -vvv", say_more},
    {'4', "", kWorks, "use IPv4 alone", use_family<tunnel::AddressFamily::ipv4>},
    {'6', "", kWorks, "use IPv6 alone", use_family<tunnel::AddressFamily::ipv6>},

    {'2', "", kNothing, "SSH 2 is all there is"},
    {'A', "", kNothing, "forwards the agent to a shell, and there is none",
     [](CommandLine& line, const std::string&) { return keep_anew(line, "ForwardAgent", "yes"); }},
    {'a', "", kNothing, "keeps the agent from a shell",
     [](CommandLine& line, const std::string&) { return keep_anew(line, "ForwardAgent", "no"); }},
    {'e', "char", kNothing, "escapes in a terminal",
     [](CommandLine& line, const std::string& value) { return keep_anew(line, "EscapeChar", value); }},
    {'k', "", kNothing, "keeps GSSAPI credentials from the server",
     [](CommandLine& line, const std::string&) {
       return keep_anew(line, "GSSAPIDelegateCredentials", "no");
     }},
    {'T', "", kNothing, "opens no terminal, which culvert never does",
     [](CommandLine& line, const std::string&) { return keep_anew(line, kTerminal, "no"); }},
    {'t', "", kNothing, "opens a terminal for a command", use_terminal},
    {'X', "", kNothing, "shows a shell's X11 windows",
     [](CommandLine& line, const std::string&) { return keep_anew(line, "ForwardX11", "yes"); }},
    {'x', "", kNothing, "shows no X11 windows",
     [](CommandLine& line, const std::string&) { return keep_anew(line, "ForwardX11", "no"); }},
    {'Y', "", kNothing, "shows a shell's X11 windows",
     [](CommandLine& line, const std::string&) -> Result<void> {
       TRY(keep_anew(line, "ForwardX11", "yes"));
       return keep_anew(line, "ForwardX11Trusted", "yes");
     }},

    {'1', "", kRefused, "SSH 1 is broken and gone"},
    {'C', "", kRefused, "culvert does not compress; leave it out"},
    {'I', "pkcs11", kRefused, "not in this version of culvert; keys come from files (-i) and the agent"},
    {'K', "", kRefused, "culvert does not speak GSSAPI"},
    {'M', "", kRefused, "culvert shares no connection with ssh; leave it out"},
    {'O', "command", kRefused, "culvert shares no connection with ssh; it ends with SIGTERM"},
    {'S', "path", kWorks, "", check_no_master},
    {'s', "", kRefused, "culvert runs no subsystem on the server"},
    {'w', "tunnel", kRefused, "culvert forwards streams, not packets"},
    {'y', "", kRefused, "culvert does not write to the system log; -E takes a file"},
};

}  // namespace

std::span<const Letter> letters() { return kLetters; }

namespace {

// Beside the letters, which are ssh's: what ssh has no letter for.
constexpr LongOption kLongOptions[] = {
    {"accept-proxy", "net", "", add_accept_proxy},
    {"help", "", "", act<Action::help>},
    {"no-reconnect", "", "end when it is lost", switch_on<&Settings::no_reconnect>},
    {"on-listen", "cmd", "run when a -R is up", set_on_listen},
    {"open-gateway", "", "at the router, too", switch_on<&Settings::open_gateway>},
    {"proxy-auth", "file", "logins for proxies", set_proxy_auth},
    {"send-proxy", "v1|v2", "PROXY header out", set_send_proxy},
    {"version", "", "", act<Action::version>},
    {"wait", "", "try until it is there", switch_on<&Settings::wait_for_first>},
};

}  // namespace

std::span<const LongOption> long_options() { return kLongOptions; }

}  // namespace culvert::cli

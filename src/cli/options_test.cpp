// SPDX-License-Identifier: Apache-2.0
#include "cli/options.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/text.hpp"
#include "cli/help.hpp"
#include "cli/values.hpp"

namespace culvert::cli {
namespace {

using Arguments = std::vector<std::string_view>;

Settings settings_of(const Arguments& arguments) {
  auto line = read_command_line(arguments);
  EXPECT_TRUE(line) << line.error().message;
  return line ? std::move(line->settings) : Settings{};
}

std::string error_of(const Arguments& arguments) {
  const auto line = read_command_line(arguments);
  return line ? "none" : line.error().message;
}

TEST(Options, ClustersAndAttachedValues) {
  for (const Arguments& arguments : {
           Arguments{"-fNT", "-L", "8080:a:80", "-p", "2222", "host"},
           Arguments{"-fNTL8080:a:80", "-p2222", "host"},
           Arguments{"-NfL", "8080:a:80", "-oPort=2222", "host"},
           Arguments{"host", "-fNL", "8080:a:80", "-p2222"},
           Arguments{"-f", "host", "-N", "-L8080:a:80", "-p", "2222"},
           Arguments{"-fL", "8080:a:80", "-p", "2222", "--", "host"},
           Arguments{"ssh://host:2222", "-f", "-L", "8080:a:80"},
           Arguments{"-fo", "LocalForward=8080 a:80", "-o", "port 2222", "host"},
           Arguments{"-f", "-o", "LOCALFORWARD 8080 a:80", "-o", " Port = \"2222\" ", "host"},
       }) {
    const Settings settings = settings_of(arguments);
    EXPECT_EQ(settings.host, "host");
    EXPECT_EQ(settings.background, true);
    EXPECT_EQ(settings.no_input, true);
    EXPECT_EQ(settings.port, 2222);
    ASSERT_EQ(settings.local_forwards.size(), 1u);
    EXPECT_EQ(settings.local_forwards[0].listen.endpoint, (relay::Endpoint(relay::HostPort{"", 8080})));
    EXPECT_EQ(settings.local_forwards[0].destination, (relay::Endpoint(relay::HostPort{"a", 80})));
  }
}

TEST(Options, TheFirstValueCountsButForSomeLetters) {
  EXPECT_EQ(settings_of({"-p", "1", "-p", "2", "-oPort=3", "ssh://h:4"}).port, 1);
  EXPECT_EQ(settings_of({"ssh://h:4", "-p", "1"}).port, 4);
  EXPECT_EQ(settings_of({"-l", "a", "b@h", "-l", "c"}).user, "a");
  EXPECT_EQ(settings_of({"b@h", "-l", "c"}).user, "b");
  EXPECT_EQ(settings_of({"-4", "-6", "h"}).family, tunnel::AddressFamily::ipv6);
  EXPECT_EQ(settings_of({"-b", "10.0.0.1", "-b", "10.0.0.2", "h"}).bind_address, "10.0.0.2");
  EXPECT_EQ(settings_of({"-oBindInterface=a", "-B", "b", "-B", "c", "h"}).bind_interface, "c");
  EXPECT_EQ(settings_of({"-oStrictHostKeyChecking=no", "-oStrictHostKeyChecking=yes", "h"}).host_key_policy,
            tunnel::HostKeyPolicy::no);
}

TEST(Options, AJumpThatWasGivenStays) {
  const auto settings = settings_of({"-J", "a,b", "-oProxyJump=c", "-oProxyCommand=d", "h"});
  EXPECT_EQ(settings.proxy_jump, "a,b");
  EXPECT_FALSE(settings.proxy_command);
}

TEST(Options, IdentityFilesAdd) {
  const Settings settings = settings_of({"-i", "a", "-ib c", "-oIdentityFile=\"d e\"", "h"});
  EXPECT_EQ(settings.identity_files, (std::vector<std::string>{"a", "b c", "d e"}));
}

TEST(Options, DynamicForwardsAndTheirUsers) {
  for (const Arguments& arguments :
       {Arguments{"-ND1080", "-D", "*:0", "--proxy-auth", "users", "h"},
        Arguments{"-oDynamicForward=1080", "--proxy-auth=users", "h", "-D", ":0"}}) {
    const Settings settings = settings_of(arguments);
    ASSERT_EQ(settings.dynamic_forwards.size(), 2u);
    EXPECT_EQ(settings.dynamic_forwards[0].listen.endpoint, (relay::Endpoint(relay::HostPort{"", 1080})));
    EXPECT_EQ(settings.dynamic_forwards[1].listen.endpoint, (relay::Endpoint(relay::HostPort{"*", 0})));
    EXPECT_EQ(settings.proxy_auth, "users");
  }
  EXPECT_EQ(settings_of({"-D", "[::1]:1080", "h"}).dynamic_forwards[0].listen.endpoint,
            (relay::Endpoint(relay::HostPort{"::1", 1080})));
  EXPECT_EQ(settings_of({"-D", "/run/x", "h"}).dynamic_forwards[0].listen.endpoint,
            (relay::Endpoint(relay::UnixPath{"/run/x"})));
}

TEST(Options, Verbosity) {
  EXPECT_EQ(settings_of({"h"}).verbosity, std::nullopt);
  EXPECT_EQ(settings_of({"-q", "h"}).verbosity, Verbosity::quiet);
  EXPECT_EQ(settings_of({"-v", "h"}).verbosity, Verbosity::debug1);
  EXPECT_EQ(settings_of({"-vv", "h"}).verbosity, Verbosity::debug2);
  EXPECT_EQ(settings_of({"-v", "h", "-vv"}).verbosity, Verbosity::debug3);
  EXPECT_EQ(settings_of({"-vvvvvv", "h"}).verbosity, Verbosity::debug3);
  EXPECT_EQ(settings_of({"-qv", "h"}).verbosity, Verbosity::debug1);
  EXPECT_EQ(settings_of({"-oLogLevel=debug3", "h"}).verbosity, Verbosity::debug3);
  EXPECT_EQ(settings_of({"-oLogLevel=debug3", "-v", "h"}).verbosity, Verbosity::debug1);
}

TEST(Options, LevelsOfTheLog) {
  EXPECT_EQ(level_of(Verbosity::quiet), LogLevel::error);
  EXPECT_EQ(level_of(Verbosity::error), LogLevel::error);
  EXPECT_EQ(level_of(Verbosity::info), LogLevel::notice);
  EXPECT_EQ(level_of(Verbosity::verbose), LogLevel::verbose);
  EXPECT_EQ(level_of(Verbosity::debug1), LogLevel::verbose);
  EXPECT_EQ(level_of(Verbosity::debug2), LogLevel::debug);
  EXPECT_EQ(level_of(Verbosity::debug3), LogLevel::trace);
}

TEST(Options, ActionsActAtOnce) {
  EXPECT_EQ(read_command_line(Arguments{"-V"})->action, Action::version);
  EXPECT_EQ(read_command_line(Arguments{"-V", "-Z", "a", "b"})->action, Action::version);
  EXPECT_EQ(read_command_line(Arguments{"--help"})->action, Action::help);
  EXPECT_EQ(read_command_line(Arguments{"host", "-h"})->action, Action::help);
  const auto query = read_command_line(Arguments{"-Qcipher"});
  EXPECT_EQ(query->action, Action::query);
  EXPECT_EQ(query->query, "cipher");
}

TEST(Options, BadInputSaysWhatIsWrong) {
  struct Row {
    Arguments arguments;
    std::string_view message;
  };
  const Row rows[] = {
      {{}, "no server given: culvert [options] [user@]host (see culvert --help)"},
      {{"-N"}, "no server given: culvert [options] [user@]host (see culvert --help)"},
      {{"-Z", "h"}, "unknown option -Z (see culvert --help)"},
      {{"-fZ", "h"}, "unknown option -Z (see culvert --help)"},
      {{"-\x1b", "h"}, "unknown option -\\x1b (see culvert --help)"},
      {{"--port", "h"}, "unknown option \"--port\" (see culvert --help)"},
      {{"h", "-p"}, "-p wants a value: -p port"},
      {{"h", "-NL"}, "-L wants a value: -L [bind:]port:host:hostport"},
      {{"-p", "0", "h"}, "-p: \"0\" is not a port (1 to 65535, or a service's name)"},
      {{"-l", "a;b", "h"}, "-l: the user name \"a;b\" contains \";\""},
      {{"-L", "80:a", "h"},
       "-L: \"80:a\": not [bind:]port:host:hostport, where either side may be a /path and IPv6 stands in "
       "[brackets]"},
      {{"-W", "a:1", "-W", "b:2", "h"}, "-W: given twice; there is one standard input"},
      {{"-W", "a", "h"}, "-W: \"a\": not host:port (IPv6 in [brackets])"},
      {{"h", "ls", "-l"},
       "\"ls\": culvert runs no commands on the server, it only forwards: leave it out, or run it with ssh"},
      {{"--", "h", "-N"},
       "\"-N\": culvert runs no commands on the server, it only forwards: leave it out, or run it with ssh"},
      {{"-", "h"}, "the host name \"-\" begins with '-'"},
      {{"--", "-oProxyCommand=x"}, "the host name \"-oProxyCommand=x\" begins with '-'"},
      {{"-o", "foo=1", "h"}, "-o: Bad configuration option: foo"},
      {{"-o", "f\xffo", "h"}, "-o: Bad configuration option: f\\xffo"},
      {{"-o", "", "h"}, "-o: \"\" is not Keyword=value"},
      {{"-o", "=x", "h"}, "-o: Bad configuration option: x"},
      {{"-o", "Port", "h"}, "-o: Port: no value given"},
      {{"-o", "Port=\"\"", "h"}, "-o: Port: no value given"},
      {{"-o", "Port=22 23", "h"}, "-o: Port: one word too many: \"23\""},
      {{"-o", "Port=\"22", "h"}, "-o: Port: invalid quotes"},
      {{"-o", "batchmode=maybe", "h"}, "-o: BatchMode: \"maybe\" is neither yes nor no"},
      {{"-o", "ConnectTimeout=abc", "h"},
       "-o: ConnectTimeout: \"abc\" is not a time (seconds, or like 90s, 1h30m, 2d)"},
      {{"-o", "AddressFamily=ipv4", "h"}, "-o: AddressFamily: \"ipv4\" is none of any, inet, inet6"},
      {{"-o", "LocalForward=80:a:80", "h"}, "-o: LocalForward: two words wanted: [bind:]port host:hostport"},
      {{"-o", "RekeyLimit=8", "h"}, "-o: RekeyLimit: \"8\" is too small"},
      {{"-o", "StreamLocalBindMask=0888", "h"},
       "-o: StreamLocalBindMask: \"0888\" is not an octal number (0 to 0777)"},
      {{"-o", "PreferredAuthentications=hostbased", "h"},
       "-o: PreferredAuthentications: \"hostbased\" names none of publickey, keyboard-interactive, password"},
      {{"-o", "ProxyVia=ftp://x", "h"},
       "-o: ProxyVia: not socks5://[user:password@]host[:port] or http://[user:password@]host[:port]"},
      {{"-J", "a", "h", "-Jb"},
       "-J: Only a single -J option is permitted (use commas to separate multiple jump hops)"},
      {{"-oProxyJump=a", "-J", "b", "h"},
       "-J: Only a single -J option is permitted (use commas to separate multiple jump hops)"},
      {{"-oProxyCommand=nc", "-J", "a", "h"}, "-J: Cannot specify -J with ProxyCommand"},
      {{"-oProxyVia=http://p", "-J", "a", "h"}, "-J: Cannot specify -J with ProxyVia"},
      {{"-R", "80:a", "h"}, "-R: \"a\" is not a port (0 to 65535, or a service's name)"},
      {{"-R", "a:b:c:d:e", "h"},
       "-R: \"a:b:c:d:e\": not [bind:]port:host:hostport, where either side may be a /path and IPv6 stands "
       "in "
       "[brackets]"},
      {{"-D", "1080:a:80", "h"},
       "-D: \"1080:a:80\": not [bind:]port, where IPv6 stands in [brackets], or a /path"},
      {{"-D", "", "h"}, "-D: \"\" is not a port (0 to 65535, or a service's name)"},
      {{"--proxy-auth"}, "--proxy-auth wants a value: --proxy-auth file"},
      {{"--proxy-auth=", "h"}, "--proxy-auth: the value is empty"},
      {{"--send-proxy", "2", "h"}, "--send-proxy: \"2\" is not a version of the PROXY protocol (v1 or v2)"},
      {{"--accept-proxy", "lb", "h"}, "--accept-proxy: \"lb\" is no network like 192.0.2.0/24"},
      {{"--help=x", "h"}, "--help takes no value"},
      {{"--proxy=x", "h"}, "unknown option \"--proxy=x\" (see culvert --help)"},
      {{"h", "-F"}, "-F wants a value: -F file"},
      {{"-o", "Host=x", "h"}, "-o: Host: stands in configuration files, not on the command line"},
      {{"-o", "Compression=yes", "h"}, "-o: Compression: culvert does not compress; leave it out"},
      {{"-o", "CanonicalizePermittedCNAMEs=a", "h"},
       "-o: CanonicalizePermittedCNAMEs: \"a\" is not source-domains:target-domains"},
      {{"-c", "aes128-foo", "h"}, "-c: unknown cipher \"aes128-foo\" (culvert -Q cipher lists them)"},
  };
  for (const Row& row : rows) EXPECT_EQ(error_of(row.arguments), row.message);
}

TEST(Options, WhatChangesNothingIsAccepted) {
  settings_of({"-46AaTtXxYkN2", "-e", "none", "-F", "none", "-S", "none", "h"});
  settings_of({"-oForwardAgent=yes", "-oForwardX11=no", "-oSendEnv LANG LC_*", "-oRequestTTY=no",
               "-oCheckHostIP=no", "-oProxyJump=none", "-oControlMaster=no", "-oControlPath=none",
               "-oCompression=no", "-oGSSAPIAuthentication=no", "-oVisualHostKey=no", "-oUpdateHostKeys=no",
               "h"});
  settings_of({"-oIgnoreUnknown=Use*,My*", "-oUseKeychain=yes", "-oMyThing=1", "h"});
}

// ssh(1) of OpenSSH 9.2 and 10: every letter must be a row, taking a value where it does there.
TEST(Options, EveryLetterOfSshIsARow) {
  constexpr std::string_view kSsh = "1246ab:c:e:fgi:kl:m:no:p:qstvxAB:CD:E:F:GI:J:KL:MNO:P:Q:R:S:TVw:W:XYy";
  for (std::size_t i = 0; i < kSsh.size(); ++i) {
    if (kSsh[i] == ':') continue;
    const bool takes_value = i + 1 < kSsh.size() && kSsh[i + 1] == ':';
    const auto row = std::ranges::find(letters(), kSsh[i], &Letter::letter);
    ASSERT_NE(row, letters().end()) << kSsh[i];
    EXPECT_EQ(!row->value.empty(), takes_value) << kSsh[i];
    if (row->effect == Effect::works) {
      EXPECT_NE(row->apply, nullptr) << kSsh[i];
    } else {
      EXPECT_FALSE(row->text.empty()) << kSsh[i];
    }
  }
}

TEST(Options, RowsAreUnique) {
  std::vector<std::string> names;
  for (const Keyword& row : keywords()) {
    names.push_back(lower(row.name));
    const bool is_plain = row.same_as.empty();
    EXPECT_EQ(is_plain && row.effect == Effect::works, row.apply != nullptr) << row.name;
    EXPECT_EQ(row.apply != nullptr, row.show != nullptr) << row.name;
    EXPECT_TRUE(is_plain || std::ranges::find(keywords(), row.same_as, &Keyword::name) != keywords().end())
        << row.name;
    EXPECT_EQ(row.effect == Effect::refused, !row.text.empty()) << row.name;
  }
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
  std::vector<char> options;
  for (const Letter& row : letters()) options.push_back(row.letter);
  std::ranges::sort(options);
  EXPECT_EQ(std::ranges::adjacent_find(options), options.end());
}

TEST(Options, TheManualNamesEveryLetterAndKeyword) {
  std::ifstream file(CULVERT_SOURCE_DIR "/docs/options.md");
  const std::string manual{std::istreambuf_iterator<char>(file), {}};
  ASSERT_FALSE(manual.empty());
  for (const Letter& row : letters()) {
    EXPECT_NE(manual.find(fmt::format("`-{}", row.letter)), std::string::npos) << row.letter;
  }
  for (const LongOption& row : long_options()) {
    EXPECT_NE(manual.find(fmt::format("`--{}", row.name)), std::string::npos) << row.name;
  }
  for (const Keyword& row : keywords()) {
    EXPECT_NE(manual.find(fmt::format("`{}`", row.name)), std::string::npos) << row.name;
  }
}

TEST(Options, HelpFitsOneScreenAndNamesWhatWorks) {
  const std::string help = help_text();
  const auto lines = split(help, '\n');
  EXPECT_LE(lines.size(), 25u);  // 24 and what is behind the last newline
  for (const std::string_view line : lines) EXPECT_LE(line.size(), 79u) << line;
  for (const Letter& row : letters()) {
    if (row.effect == Effect::works && !row.text.empty()) {
      EXPECT_NE(help.find(fmt::format("-{} ", row.letter)), std::string::npos) << row.letter;
    }
  }
}

TEST(Options, QueriesListOurs) {
  EXPECT_NE(query_text("cipher")->find("aes128-gcm@openssh.com\n"), std::string::npos);
  EXPECT_NE(query_text("MACs")->find("hmac-sha2-256-etm@openssh.com\n"), std::string::npos);
  EXPECT_NE(query_text("kex")->find("curve25519-sha256\n"), std::string::npos);
  EXPECT_NE(query_text("sig")->find("rsa-sha2-512\n"), std::string::npos);
  EXPECT_NE(query_text("key")->find("ssh-rsa\n"), std::string::npos);
  EXPECT_EQ(query_text("key")->find("rsa-sha2"), std::string::npos);
  EXPECT_EQ(query_text("nonsense").error().message, "-Q: there is no list \"nonsense\" (culvert -Q help)");
  for (const std::string_view what : split(query_text("help").value(), '\n')) {
    if (!what.empty()) EXPECT_TRUE(query_text(what)) << what;
  }
}

}  // namespace
}  // namespace culvert::cli

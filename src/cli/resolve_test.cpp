// SPDX-License-Identifier: Apache-2.0
#include "cli/resolve.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <vector>

#include <gtest/gtest.h>

#include "cli/options.hpp"
#include "cli/show_config.hpp"
#include "cli/values.hpp"

namespace culvert::cli {
namespace {

using Texts = std::vector<std::string>;

const Environment kOfAnn{.user = "ann", .uid = "1000", .home = "/home/ann", .host_name = "laptop.example"};

/// A machine on paper.
class Paper final : public Machine {
 public:
  Result<bool> succeeds(const std::string& command) override {
    commands.push_back(command);
    return command.starts_with("true");
  }
  Result<bool> has_address_in(std::string_view networks) override { return networks == "192.0.2.0/24"; }
  std::optional<std::string> canonical_name(const std::string& name) override {
    questions.push_back(name);
    const auto found = names.find(name);
    if (found == names.end()) return std::nullopt;
    return found->second;
  }
  std::optional<std::string> canonical_address(const std::string& text) override {
    if (text == "0::1") return "::1";
    return std::nullopt;
  }
  void report(std::string_view error) override { reports.emplace_back(error); }

  std::map<std::string, std::string> names;
  Texts commands, questions, reports;
};

class Resolve : public ::testing::Test {
 protected:
  Resolve() {
    std::string pattern = (std::filesystem::temp_directory_path() / "culvert_resolve_XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    files_ = {.user = folder_ + "/config",
              .system = folder_ + "/system",
              .user_folder = folder_,
              .system_folder = folder_};
  }
  ~Resolve() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, std::string_view text) const {
    std::ofstream(folder_ + '/' + name) << text;
    std::filesystem::permissions(folder_ + '/' + name, std::filesystem::perms(0600));
  }

  Result<Settings> settings(std::vector<std::string_view> arguments) {
    const auto line = TRY(read_command_line(arguments));
    files_.chosen = line.config_file;
    return resolve_settings(line.settings, files_, kOfAnn, machine_);
  }
  // One keyword of -G, its lines joined by '|'.
  std::string shown(std::vector<std::string_view> arguments, std::string_view keyword) {
    const auto all = settings(std::move(arguments));
    if (!all) return all.error().message;
    const auto text = show_config(*all, kOfAnn);
    if (!text) return text.error().message;
    std::string found;
    for (const std::string_view line : split(*text, '\n')) {
      if (!line.starts_with(std::string(keyword) + ' ')) continue;
      found += (found.empty() ? "" : "|") + std::string(line.substr(keyword.size() + 1));
    }
    return found;
  }

  std::string folder_;
  ConfigFiles files_;
  Paper machine_;
};

TEST_F(Resolve, TheFirstValueCountsAndTheCommandLineComesFirst) {
  write("config", "Port 1\nHost h\n Port 2\n User bob\n IdentityFile a\n LocalForward 1 a:1\n");
  write("system", "User carl\nIdentityFile b\nBatchMode yes\nIdentityFile a\n");
  EXPECT_EQ(shown({"h"}, "port"), "1");
  EXPECT_EQ(shown({"-p3", "h"}, "port"), "3");
  EXPECT_EQ(shown({"h"}, "user"), "bob");
  EXPECT_EQ(shown({"other"}, "user"), "carl");
  EXPECT_EQ(shown({"h"}, "batchmode"), "yes");
  EXPECT_EQ(shown({"-ic", "h"}, "identityfile"), "c|a|b");
  EXPECT_EQ(shown({"-L1:a:1", "-L2:a:1", "h"}, "localforward"), "1 [a]:1|2 [a]:1");
}

TEST_F(Resolve, AChosenFileStandsForAll) {
  write("config", "Port 1\n");
  write("system", "User carl\n");
  write("mine", "HostName %h.example\n");
  const std::string mine = folder_ + "/mine";
  EXPECT_EQ(shown({"-F", mine, "H"}, "hostname"), "h.example");
  EXPECT_EQ(shown({"-F", mine, "h"}, "port"), "22");
  EXPECT_EQ(shown({"-F", mine, "h"}, "user"), "ann");
  EXPECT_EQ(shown({"-Fnone", "h"}, "port"), "22");
  EXPECT_EQ(settings({"-F", folder_ + "/none", "h"}).error().message,
            "-F: " + folder_ + "/none does not exist");
}

TEST_F(Resolve, NoFilesAreNoError) { EXPECT_EQ(shown({"h"}, "hostname"), "h"); }

TEST_F(Resolve, OthersMustNotWriteTheUsersFile) {
  write("config", "Port 1\n");
  std::filesystem::permissions(folder_ + "/config", std::filesystem::perms(0666));
  EXPECT_EQ(settings({"h"}).error().message,
            "Bad owner or permissions on " + folder_ + "/config (chmod go-w keeps others from changing it)");
}

TEST_F(Resolve, ErrorsNameFileAndLine) {
  write("config",
        "Port x\nHost other\n Wrong 1\n Port y\n Ciphers 3des-cbc\nHost h\n IgnoreUnknown My*\n MyThing 1\n");
  EXPECT_EQ(settings({"h"}).error().message, folder_ + "/config: terminating, 3 bad configuration options");
  EXPECT_EQ(machine_.reports,
            (Texts{folder_ + "/config line 1: Port: \"x\" is not a port (1 to 65535, or a service's name)",
                   folder_ + "/config: line 3: Bad configuration option: wrong",
                   folder_ + "/config line 4: Port: \"y\" is not a port (1 to 65535, or a service's name)"}));
}

TEST_F(Resolve, WhatCulvertCannotDoIsAnErrorOnlyForThisHost) {
  write("config", "Host other\n Ciphers 3des-cbc\n RequiredRSASize 4096\n");
  EXPECT_TRUE(settings({"h"}));
  EXPECT_FALSE(settings({"other"}));
}

TEST_F(Resolve, WhatIsRefusedOnTheCommandLineIsPassedOverInFiles) {
  write(
      "config",
      "Compression yes\nRemoteCommand a \"b\nTunnel yes\nSendEnv A B\nSendEnv C\nSetEnv X=1 Y=2\nSetEnv Z=3\n"
      "ControlPersist 1h\nForwardX11Timeout 1h\n");
  EXPECT_EQ(shown({"h"}, "compression"), "yes");
  EXPECT_EQ(shown({"h"}, "remotecommand"), "a \"b");
  EXPECT_EQ(shown({"h"}, "tunnel"), "point-to-point");
  EXPECT_EQ(shown({"h"}, "sendenv"), "A|B|C");
  EXPECT_EQ(shown({"h"}, "setenv"), "X=1|Y=2");
  EXPECT_EQ(shown({"h"}, "controlpersist"), "3600");
  EXPECT_EQ(shown({"h"}, "forwardx11timeout"), "3600");
}

TEST_F(Resolve, MatchSeesWhatIsKnownSoFar) {
  write("config",
        "Host h\n HostName web.example\n User bob\n"
        "Match host web.example user bob localuser ann originalhost h\n Port 5\n"
        "Match exec \"true %h %n %p %r %u %d %i %L %l %%\"\n BatchMode yes\n"
        "Match exec false\n Port 6\n"
        "Match localnetwork 192.0.2.0/24 tagged t\n ConnectTimeout 3\n");
  EXPECT_EQ(shown({"h"}, "port"), "5");
  EXPECT_EQ(machine_.commands,
            (Texts{"true web.example h 5 bob ann /home/ann 1000 laptop laptop.example %", "false"}));
  EXPECT_EQ(shown({"h"}, "batchmode"), "yes");
  EXPECT_EQ(shown({"h"}, "connecttimeout"), "none");
  EXPECT_EQ(shown({"-Pt", "h"}, "connecttimeout"), "3");
}

TEST_F(Resolve, AFinalMatchReadsTheFilesAgain) {
  write(
      "config",
      "Match final host web.example\n Port 5\nHost h\n HostName web.example\nHost web.example\n User bob\n");
  EXPECT_EQ(shown({"h"}, "port"), "5");
  EXPECT_EQ(shown({"h"}, "user"), "bob");
  write("config", "Host h\n HostName web.example\nHost web.example\n User bob\n");
  EXPECT_EQ(shown({"h"}, "user"), "ann");
}

TEST_F(Resolve, ShortNamesAreCompleted) {
  machine_.names = {{"web.b.example.", "web.b.example"}, {"www.b.example.", "web.cdn.example"}};
  const std::string base = "CanonicalizeHostname yes\nCanonicalDomains a.example b.example\n";
  write("config", base + "Host web.b.example\n Port 5\n");
  EXPECT_EQ(shown({"Web"}, "hostname"), "web.b.example");
  EXPECT_EQ(machine_.questions, (Texts{"web.a.example.", "web.b.example."}));
  EXPECT_EQ(shown({"web"}, "port"), "5");
  EXPECT_EQ(shown({"www"}, "hostname"), "www.b.example");
  EXPECT_EQ(shown({"a.b.c"}, "hostname"), "a.b.c");  // more dots than CanonicalizeMaxDots
  EXPECT_EQ(shown({"0::1"}, "hostname"), "::1");
  EXPECT_EQ(shown({"nowhere"}, "hostname"), "nowhere");
  EXPECT_EQ(shown({"-JJ", "web"}, "hostname"), "web");  // the jump host resolves it

  write("config",
        base + "CanonicalizeFallbackLocal no\nCanonicalizePermittedCNAMEs *.b.example:*.cdn.example\n");
  EXPECT_EQ(shown({"www"}, "hostname"), "web.cdn.example");
  EXPECT_EQ(shown({"www.b.example."}, "hostname"), "web.cdn.example");
  EXPECT_EQ(shown({"nowhere"}, "hostname"),
            "no domain of CanonicalDomains has a host \"nowhere\" (CanonicalizeFallbackLocal=yes leaves the "
            "name to the "
            "resolver)");
}

TEST_F(Resolve, HostNamesAreExpandedAndChecked) {
  EXPECT_EQ(shown({"-oHostName=%h.example", "h"}, "hostname"), "h.example");
  EXPECT_EQ(settings({"-oHostName=%h;id", "h"}).error().message, "the host name \"h;id\" contains \";\"");
  EXPECT_EQ(settings({"-oHostName=-x", "h"}).error().message, "the host name \"-x\" begins with '-'");
  EXPECT_EQ(settings({"-oHostName=%z", "h"}).error().message, "HostName: \"%z\": unknown token \"%z\"");
}

TEST_F(Resolve, AHopHasItsOwnConfiguration) {
  write("config", "Host hop\n HostName hop.example\n Port 5\nHost *\n User bob\n");
  const auto hop =
      resolve_hop({.user = std::nullopt, .host = "hop", .port = std::nullopt}, files_, kOfAnn, machine_);
  ASSERT_TRUE(hop) << hop.error().message;
  EXPECT_EQ(hop->host_name, "hop.example");
  EXPECT_EQ(hop->port, 5);
  EXPECT_EQ(hop->user, "bob");
  write("config", "Port x\n");
  EXPECT_EQ(resolve_hop({.user = {}, .host = "hop", .port = {}}, files_, kOfAnn, machine_).error().message,
            "jump host hop: " + folder_ + "/config: terminating, 1 bad configuration options");
}

TEST_F(Resolve, AddKeysToAgentTakesAWordOrATime) {
  const std::pair<const char*, const char*> rows[] = {
      {"yes", "true"},   {"no", "false"},
      {"Ask", "ask"},    {"CONFIRM", "confirm"},
      {"5m", "300"},     {"0", "true"},
      {"1h30m", "5400"}, {"confirm 5m", "confirm 300"},
      {"60", "60"},      {"confirm 0", "confirm"},
  };
  for (const auto& [value, wanted] : rows) {
    const std::string option = "-oAddKeysToAgent=" + std::string(value);
    EXPECT_EQ(shown({option, "-oAddKeysToAgent=no", "h"}, "addkeystoagent"), wanted) << value;
  }
  for (const auto* value :
       {"on", "ask 5m", "yes 5m", "no 5m", "5m confirm", "5m 5m", "confirm x", "confirm 5m 6m"}) {
    const std::string option = "-oAddKeysToAgent=" + std::string(value);
    const auto error = shown({option, "h"}, "addkeystoagent");
    EXPECT_NE(error.find("AddKeysToAgent: "), std::string::npos) << value << ": " << error;
  }
}

TEST_F(Resolve, PasswordsAreNotShown) {
  EXPECT_EQ(shown({"-oProxyVia=socks5://me:secret@proxy", "h"}, "proxyvia"), "socks5://me:...@proxy");
  EXPECT_EQ(shown({"-oProxyVia=http://proxy:80", "h"}, "proxyvia"), "http://proxy:80");
}

}  // namespace
}  // namespace culvert::cli

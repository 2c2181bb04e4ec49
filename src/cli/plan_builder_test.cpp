// SPDX-License-Identifier: Apache-2.0
#include "cli/plan_builder.hpp"

#include <cstdlib>
#include <vector>

#include <gtest/gtest.h>

#include "cli/expand.hpp"
#include "cli/options.hpp"

namespace culvert::cli {
namespace {

using relay::Endpoint;
using relay::HostPort;
using relay::UnixPath;
using Texts = std::vector<std::string>;

const Environment kEnvironment{.user = "ann",
                               .uid = "1000",
                               .home = "/home/ann",
                               .host_name = "laptop.example",
                               .agent_socket = "/run/agent"};

Result<daemon::Plan> plan_of(std::vector<std::string_view> arguments,
                             const Environment& environment = kEnvironment) {
  const auto line = TRY(read_command_line(arguments));
  return build_plan(line.settings, environment);
}

daemon::SessionPlan session_of(std::vector<std::string_view> arguments) {
  auto plan = plan_of(std::move(arguments));
  EXPECT_TRUE(plan) << plan.error().message;
  if (!plan) return {};
  EXPECT_EQ(plan->sessions.size(), 1u);
  return std::move(plan->sessions[0]);
}

TEST(PlanBuilder, CountsMayBeZero) {
  const auto server =
      session_of({"-N", "-oNumberOfPasswordPrompts=0", "-oServerAliveCountMax=0", "h"}).server;
  EXPECT_EQ(server.password_prompts, 0U);
  EXPECT_EQ(server.timing.keepalive_count, 1U) << "nobody is given up who was not asked";
}

TEST(PlanBuilder, AJumpHostWithoutATimeoutHasThatOfTheServer) {
  const auto server = session_of({"-N", "-oConnectTimeout=3", "-J", "a", "b"}).server;
  EXPECT_EQ(server.connect_timeout, std::chrono::seconds(3));
  EXPECT_EQ(std::get<tunnel::JumpHost>(server.way).server->connect_timeout, std::chrono::seconds(3));
}

TEST(PlanBuilder, DefaultsAreThoseOfSsh) {
  const auto session = session_of({"-L", "8080:a:80", "bastion"});
  const tunnel::ServerOptions& server = session.server;
  EXPECT_EQ(server.host, "bastion");
  EXPECT_EQ(server.port, 22);
  EXPECT_EQ(server.user, "ann");
  EXPECT_EQ(server.identity_files,
            (Texts{"/home/ann/.ssh/id_rsa", "/home/ann/.ssh/id_ecdsa", "/home/ann/.ssh/id_ed25519"}));
  EXPECT_FALSE(server.identities_explicit);
  EXPECT_EQ(server.agent_socket, "/run/agent");
  EXPECT_EQ(server.user_known_hosts, (Texts{"/home/ann/.ssh/known_hosts", "/home/ann/.ssh/known_hosts2"}));
  EXPECT_EQ(server.global_known_hosts, (Texts{"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"}));
  EXPECT_EQ(server.host_key_policy, tunnel::HostKeyPolicy::ask);
  EXPECT_TRUE(server.algorithms.ciphers.empty());
  EXPECT_TRUE(session.exit_on_forward_failure);
  EXPECT_FALSE(session.stdio);
  ASSERT_EQ(session.local_forwards.size(), 1u);
  EXPECT_EQ(session.local_forwards[0].listen.endpoint, Endpoint(HostPort{"localhost", 8080}));
  EXPECT_EQ(session.local_forwards[0].listen.socket_mask, 0177u);
}

TEST(PlanBuilder, KnownHostsCommandKeepsWhatIsNotKnownYet) {
  const auto words = [](std::string_view command, std::vector<std::string_view> more = {}) {
    const std::string keyword = "-oKnownHostsCommand=" + std::string(command);
    std::vector<std::string_view> arguments = {"-N", "-p2222", "-oHostName=bastion.example", keyword,
                                               "bastion"};
    arguments.insert(arguments.begin(), more.begin(), more.end());
    return session_of(arguments).server.known_hosts_command;
  };
  const std::vector<tunnel::CommandWord> expected = {
      {{"/usr/bin/%H"}},
      {{"", 'I'}, {""}},
      {{"a b%I:bastion.example ", 'H'}, {"2222", 't'}, {"ann"}},
      {{"#"}},
      {{"bastion/047fed65b10eee3d638450691ee116e4be773adf"}}};
  EXPECT_EQ(words("/usr/bin/%H %I 'a b%%I:%h %H%p%t%r' # %k/%C"), expected);
  EXPECT_EQ(words("/x %k%n", {"-oHostKeyAlias=alias"})[1], (tunnel::CommandWord{{"aliasbastion"}}));
  EXPECT_TRUE(words("NONE").empty());

  for (const std::string_view command : {"lookup %H", "~/lookup", "'' /x", "/x 'a", "/x %z", "/x %"}) {
    const std::string keyword = "KnownHostsCommand=" + std::string(command);
    const auto plan = plan_of({"-N", "-o", keyword, "bastion"});
    ASSERT_FALSE(plan) << command;
    EXPECT_TRUE(plan.error().message.starts_with("KnownHostsCommand: ")) << plan.error().message;
  }
}

TEST(PlanBuilder, FdpassIsOfProxyCommandAlone) {
  const auto way = [](std::string_view command, std::string_view pass) {
    return session_of({"-N", command, pass, "h"}).server.way;
  };
  for (const bool passes : {false, true}) {
    const auto one = way("-oProxyCommand=nc %h %p", passes ? "-oProxyUseFdpass=yes" : "-oProxyUseFdpass=no");
    ASSERT_TRUE(std::holds_alternative<tunnel::ProxyCommand>(one));
    EXPECT_EQ(std::get<tunnel::ProxyCommand>(one).command, "nc h 22");
    EXPECT_EQ(std::get<tunnel::ProxyCommand>(one).passes_socket, passes);
  }
  EXPECT_TRUE(std::holds_alternative<std::monostate>(way("-oProxyCommand=none", "-oProxyUseFdpass=yes")));
}

TEST(PlanBuilder, FlagsReachTheirPlaces) {
  const auto session = session_of({"-4",
                                   "-g",
                                   "-p",
                                   "2222",
                                   "-l",
                                   "bob",
                                   "-b",
                                   "10.0.0.1",
                                   "-i",
                                   "~/key-%r@%h:%p",
                                   "-c",
                                   "aes256-ctr",
                                   "-m",
                                   "hmac-sha2-512",
                                   "-oKexAlgorithms=curve25519-sha256",
                                   "-oHostKeyAlgorithms=ssh-ed25519",
                                   "-oPubkeyAcceptedAlgorithms=rsa-sha2-512",
                                   "-oRekeyLimit=1G 30m",
                                   "-oServerAliveInterval=7",
                                   "-oServerAliveCountMax=2",
                                   "-oTCPKeepAlive=no",
                                   "-oConnectTimeout=5",
                                   "-oConnectionAttempts=4",
                                   "-oUserKnownHostsFile=~/a /b/%n",
                                   "-oGlobalKnownHostsFile=none",
                                   "-oHashKnownHosts=yes",
                                   "-oCheckHostIP=yes",
                                   "-oRevokedHostKeys=~/revoked",
                                   "-oHostKeyAlias=alias",
                                   "-oHostName=bastion.example",
                                   "-oStrictHostKeyChecking=accept-new",
                                   "-oIdentitiesOnly=yes",
                                   "-oIdentityAgent=none",
                                   "-oBatchMode=yes",
                                   "-oPasswordAuthentication=no",
                                   "-oPubkeyAuthentication=no",
                                   "-oKbdInteractiveAuthentication=no",
                                   "-oNumberOfPasswordPrompts=1",
                                   "-oPreferredAuthentications=password,gssapi-with-mic,publickey",
                                   "-oExitOnForwardFailure=no",
                                   "-oStreamLocalBindMask=0117",
                                   "-oStreamLocalBindUnlink=yes",
                                   "-L",
                                   "8080:a:80",
                                   "-L",
                                   "/tmp/%u.sock:/run/x",
                                   "bastion"});
  const tunnel::ServerOptions& server = session.server;
  EXPECT_EQ(server.host, "bastion.example");
  EXPECT_EQ(server.host_key_alias, "alias");
  EXPECT_EQ(server.revoked_host_keys, "/home/ann/revoked");
  EXPECT_EQ(server.port, 2222);
  EXPECT_EQ(server.user, "bob");
  EXPECT_EQ(server.bind_address, "10.0.0.1");
  EXPECT_EQ(server.family, tunnel::AddressFamily::ipv4);
  EXPECT_EQ(server.identity_files, Texts{"/home/ann/key-bob@bastion.example:2222"});
  EXPECT_TRUE(server.identities_explicit);
  EXPECT_TRUE(server.identities_only);
  EXPECT_EQ(server.agent_socket, "");
  EXPECT_EQ(server.algorithms.ciphers, Texts{"aes256-ctr"});
  EXPECT_EQ(server.algorithms.macs, Texts{"hmac-sha2-512"});
  EXPECT_EQ(server.algorithms.key_exchanges, Texts{"curve25519-sha256"});
  EXPECT_EQ(server.algorithms.host_keys, Texts{"ssh-ed25519"});
  EXPECT_EQ(server.user_signatures, Texts{"rsa-sha2-512"});
  EXPECT_EQ(server.rekey.bytes, 1u << 30);
  EXPECT_EQ(server.rekey.time, std::chrono::minutes(30));
  EXPECT_EQ(server.timing.keepalive_interval, std::chrono::seconds(7));
  EXPECT_EQ(server.timing.keepalive_count, 2u);
  EXPECT_FALSE(server.tcp_keepalive);
  EXPECT_EQ(server.connect_timeout, std::chrono::seconds(5));
  EXPECT_EQ(server.connection_attempts, 4u);
  EXPECT_EQ(server.user_known_hosts, (Texts{"/home/ann/a", "/b/bastion"}));
  EXPECT_TRUE(server.global_known_hosts.empty());
  EXPECT_TRUE(server.hash_known_hosts);
  EXPECT_TRUE(server.check_address);
  EXPECT_EQ(server.host_key_policy, tunnel::HostKeyPolicy::accept_new);
  EXPECT_TRUE(server.batch);
  EXPECT_FALSE(server.allow_password);
  EXPECT_FALSE(server.allow_public_key);
  EXPECT_FALSE(server.allow_keyboard_interactive);
  EXPECT_EQ(server.password_prompts, 1u);
  EXPECT_EQ(server.preferred_methods, (Texts{"password", "publickey"}));
  EXPECT_FALSE(session.exit_on_forward_failure);
  ASSERT_EQ(session.local_forwards.size(), 2u);
  const daemon::ListenSpec& tcp = session.local_forwards[0].listen;
  EXPECT_EQ(tcp.endpoint, Endpoint(HostPort{"*", 8080}));
  EXPECT_EQ(tcp.family, tunnel::AddressFamily::ipv4);
  const daemon::ListenSpec& unix_socket = session.local_forwards[1].listen;
  EXPECT_EQ(unix_socket.endpoint, Endpoint(UnixPath{"/tmp/ann.sock"}));
  EXPECT_EQ(unix_socket.socket_mask, 0117u);
  EXPECT_TRUE(unix_socket.unlink_existing);
}

TEST(PlanBuilder, ExpandsThePathsOfForwards) {
  ::setenv("CULVERT_TEST_ONE", "/run/one", 1);
  const auto session = session_of({"-L", "~/a:web:80", "-L", "8080:${CULVERT_TEST_ONE}/b", "-L",
                                   "%d/c:/tmp/%%d", "-R", "${CULVERT_TEST_ONE}/d:~/e", "h"});
  ::unsetenv("CULVERT_TEST_ONE");
  ASSERT_EQ(session.local_forwards.size(), 3u);
  EXPECT_EQ(session.local_forwards[0].listen.endpoint, Endpoint(UnixPath{"/home/ann/a"}));
  EXPECT_EQ(session.local_forwards[1].destination, Endpoint(UnixPath{"/run/one/b"}));
  EXPECT_EQ(session.local_forwards[2].listen.endpoint, Endpoint(UnixPath{"/home/ann/c"}));
  EXPECT_EQ(session.local_forwards[2].destination, Endpoint(UnixPath{"/tmp/%d"}));
  ASSERT_EQ(session.remote_forwards.size(), 1u);
  EXPECT_EQ(session.remote_forwards[0].listen, Endpoint(UnixPath{"/run/one/d"}));
  EXPECT_EQ(session.remote_forwards[0].destination, Endpoint(UnixPath{"/home/ann/e"}));
}

TEST(PlanBuilder, GatewayPortsLeaveExplicitAddressesAlone) {
  const auto session =
      session_of({"-g", "-L", "127.0.0.1:1:a:80", "-L", "localhost:2:a:80", "-L", ":3:a:80", "h"});
  EXPECT_EQ(session.local_forwards[0].listen.endpoint, Endpoint(HostPort{"127.0.0.1", 1}));
  EXPECT_EQ(session.local_forwards[1].listen.endpoint, Endpoint(HostPort{"localhost", 2}));
  EXPECT_EQ(session.local_forwards[2].listen.endpoint, Endpoint(HostPort{"*", 3}));
  const auto dynamic = session_of({"-g", "-D", "1", "-D", "localhost:2", "--proxy-auth", "~/users", "h"});
  ASSERT_EQ(dynamic.dynamic_forwards.size(), 2u);
  EXPECT_EQ(dynamic.dynamic_forwards[0].listen.endpoint, Endpoint(HostPort{"*", 1}));
  EXPECT_EQ(dynamic.dynamic_forwards[1].listen.endpoint, Endpoint(HostPort{"localhost", 2}));
  EXPECT_EQ(dynamic.proxy_accounts_file, "/home/ann/users");
  EXPECT_EQ(session_of({"-D1", "h"}).dynamic_forwards[0].listen.endpoint, Endpoint(HostPort{"localhost", 1}));
}

TEST(PlanBuilder, ProxyHeadersAreOfAllForwards) {
  const auto session = session_of({"-D1", "--accept-proxy", "10.0.0.0/8", "--accept-proxy=::1",
                                   "--accept-proxy=10.0.0.0/8", "--send-proxy=v2", "--send-proxy=v1", "h"});
  EXPECT_EQ(session.proxy_header_from,
            (std::vector{*IpNetwork::parse("10.0.0.0/8"), *IpNetwork::parse("::1")}));
  EXPECT_EQ(session.proxy_header_to, relay::ProxyHeaderVersion::v2);
  EXPECT_FALSE(session_of({"-D1", "h"}).proxy_header_to);
}

TEST(PlanBuilder, NothingToForwardMustBeAskedFor) {
  EXPECT_TRUE(session_of({"-N", "h"}).local_forwards.empty());
  EXPECT_TRUE(session_of({"-oSessionType=none", "h"}).local_forwards.empty());
  EXPECT_FALSE(plan_of({"-oSessionType=default", "h"}));
  EXPECT_FALSE(plan_of({"-oSessionType=subsystem", "-L", "1:a:1", "h"}));
}

TEST(PlanBuilder, StdioPutsForwardsAsideUnlessToldNotTo) {
  const auto alone = session_of({"-W", "a:22", "-L", "8080:a:80", "-D1080", "h"});
  EXPECT_TRUE(alone.dynamic_forwards.empty());
  ASSERT_TRUE(alone.stdio);
  EXPECT_EQ(alone.stdio->destination, Endpoint(HostPort{"a", 22}));
  EXPECT_TRUE(alone.local_forwards.empty());
  EXPECT_EQ(
      session_of({"-W", "a:22", "-L", "8080:a:80", "-oClearAllForwardings=no", "h"}).local_forwards.size(),
      1u);
}

TEST(PlanBuilder, WhatCannotBeIsRefused) {
  struct Row {
    std::vector<std::string_view> arguments;
    std::string_view message;
  };
  const Row rows[] = {
      {{"h"},
       "nothing to forward: add -L or -R [bind:]port:host:hostport, -D [bind:]port or -W host:port (-N logs "
       "in all the same)"},
      {{"-L", "1:a:1", "-oClearAllForwardings=yes", "h"},
       "nothing to forward: add -L or -R [bind:]port:host:hostport, -D [bind:]port or -W host:port (-N logs "
       "in all the same)"},
      {{"-L", "1:a:1", "-i", "%z", "h"}, "IdentityFile: \"%z\": unknown token \"%z\""},
      {{"-L", "1:a:1", "-i", "a%", "h"}, "IdentityFile: \"a%\" ends in a single '%'"},
      {{"-L", "1:a:1", "-i", "~no-such-user-here/x", "h"},
       "IdentityFile: \"~no-such-user-here/x\": there is no user \"no-such-user-here\""},
      {{"-L", "1:a:1", "-oRefuseConnection=\"gone since May\"", "h"},
       "refused by the configuration (RefuseConnection): gone since May"},
      {{"-L", "1:a:1", "-i", "${CULVERT_NO_SUCH_VARIABLE}/x", "h"},
       "IdentityFile: \"${CULVERT_NO_SUCH_VARIABLE}/x\": there is no environment variable "
       "\"CULVERT_NO_SUCH_VARIABLE\""},
      {{"-L", "1:a:1", "-i", "a${B", "h"}, "IdentityFile: \"a${B\": '${' without '}'"},
  };
  for (const Row& row : rows) {
    const auto plan = plan_of(row.arguments);
    ASSERT_FALSE(plan) << row.message;
    EXPECT_EQ(plan.error().message, row.message);
  }
  const auto nameless = plan_of({"-L", "1:a:1", "h"}, {.uid = "4711", .home = "/"});
  ASSERT_FALSE(nameless);
  EXPECT_EQ(nameless.error().message, "user id 4711 has no name here: give the server's with -l");
}

TEST(PlanBuilder, AgentSocket) {
  EXPECT_EQ(session_of({"-L1:a:1", "-oIdentityAgent=SSH_AUTH_SOCK", "h"}).server.agent_socket, "/run/agent");
  EXPECT_EQ(session_of({"-L1:a:1", "-oIdentityAgent=~/agent", "h"}).server.agent_socket, "/home/ann/agent");
  EXPECT_EQ(session_of({"-L1:a:1", "-oIdentityAgent=$CULVERT_NO_SUCH_VARIABLE", "h"}).server.agent_socket,
            "");
}

TEST(Expand, TildeAndTokens) {
  EXPECT_EQ(expand_tilde("~", "/h"), "/h");
  EXPECT_EQ(expand_tilde("~/x", "/h"), "/h/x");
  EXPECT_EQ(expand_tilde("/~/x", "/h"), "/~/x");
  EXPECT_EQ(expand_tilde("~root/x", "/h"), "/root/x");
  const Token tokens[] = {{'h', "host"}};
  EXPECT_EQ(expand_tokens("%h-100%%-%h", tokens), "host-100%-host");
  EXPECT_EQ(expand_tokens("${HOME}", tokens), "${HOME}");
}

TEST(Expand, WhatAVariableStandsForIsTakenAsItIs) {
  ::setenv("CULVERT_TEST_ONE", "%h${CULVERT_TEST_ONE}", 1);
  const Token tokens[] = {{'h', "${CULVERT_TEST_ONE}%h"}};
  EXPECT_EQ(expand_references("${CULVERT_TEST_ONE}, $x", tokens), "%h${CULVERT_TEST_ONE}, $x");
  EXPECT_EQ(expand_references("%h", tokens), "${CULVERT_TEST_ONE}%h");
  EXPECT_EQ(expand_references("${CULVERT_TEST_ONE", tokens).error().message,
            "\"${CULVERT_TEST_ONE\": '${' without '}'");
  EXPECT_EQ(expand_references("a%", tokens).error().message, "\"a%\" ends in a single '%'");
  ::unsetenv("CULVERT_TEST_ONE");
}

}  // namespace
}  // namespace culvert::cli

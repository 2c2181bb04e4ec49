// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/remote_listeners.hpp"

#include <optional>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/client_harness.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/ssh_test_server.hpp"

namespace culvert::tunnel {
namespace {

using testing::run;
using testing::start;
using testing::UserKey;
using RemoteListenersTest = testing::ClientHarness;

TEST_F(RemoteListenersTest, SaysWhyAPlaceIsRefused) {
  std::optional<std::uint32_t> chosen;
  testing::SshTestServer::Options with;
  with.session.software = "OpenSSH_9.2p1";
  with.on_listen = [&](connection::SessionDriver& driver) {
    driver.session().reply_listen(chosen.has_value(), chosen.value_or(0));
  };
  testing::SshTestServer server(context_, UserKey::instance().public_key(), with);
  Client client(context_.get_executor(), options(server.port()), resolver_, random_, prompter_);
  ASSERT_TRUE(connect(client));
  const auto error = [&](const relay::Endpoint& where) {
    const auto bound = run(context_, client.listen(where));
    return bound ? relay::DialError{relay::Refusal::closed, "it listens"} : bound.error();
  };

  const auto port = error(relay::HostPort{"localhost", 8080});
  EXPECT_EQ(port.reason, relay::Refusal::prohibited);
  EXPECT_TRUE(port.message.contains("AllowTcpForwarding")) << port.message;
  const auto path = error(relay::UnixPath{"/run/x"});
  EXPECT_EQ(path.reason, relay::Refusal::prohibited);
  for (const std::string_view wanted : {"StreamLocalBindUnlink", "AllowStreamLocalForwarding", "folder"})
    EXPECT_TRUE(path.message.contains(wanted)) << path.message;
  EXPECT_FALSE(path.message.contains("port")) << path.message;
  for (const std::uint32_t none : {0U, 65536U}) {
    chosen = none;
    EXPECT_EQ(error(relay::HostPort{"localhost", 0}).message,
              "the server agrees to listen on localhost:0, but its answer names no port");
  }
  chosen = 65535;
  EXPECT_EQ(error(relay::HostPort{"localhost", 0}).message, "it listens");
}

// Each new connection asks for all of them at once.
TEST_F(RemoteListenersTest, HundredsOfListenersAreAskedForAtOnce) {
  int asked = 0;
  testing::SshTestServer::Options busy;
  busy.on_listen = [&](connection::SessionDriver&) { ++asked; };
  testing::SshTestServer server(context_, UserKey::instance().public_key(), busy);
  Client client(context_.get_executor(), options(server.port()), resolver_, random_, prompter_);
  ASSERT_TRUE(connect(client));
  std::vector<testing::Running<relay::Bound>> asking;
  for (int i = 0; i < 900; ++i) asking.push_back(start(context_, client.listen(relay::HostPort{"", 0})));
  testing::run_until(context_, [&] { return asked == 900; });
  client.disconnect();
  for (auto& one : asking) EXPECT_EQ(one.wait().error().reason, relay::Refusal::closed);
}

}  // namespace
}  // namespace culvert::tunnel

// SPDX-License-Identifier: Apache-2.0
#include "daemon/open_listeners.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace culvert::daemon {
namespace {

namespace asio = boost::asio;
using relay::HostPort;
using relay::UnixPath;

class OpenListeners : public ::testing::Test {
 protected:
  Result<std::vector<net::Listener>> open(const ListenSpec& spec) {
    std::optional<Result<std::vector<net::Listener>>> result;
    asio::co_spawn(
        io_, [&]() -> relay::Task<void> { result = co_await open_listeners(spec, resolver_); },
        asio::detached);
    io_.restart();
    io_.run();
    return std::move(*result);
  }

  net::Resolver resolver_;
  asio::io_context io_;
};

TEST_F(OpenListeners, LocalhostIsBothLoopbacksWithOnePort) {
  const auto listeners = open({.endpoint = HostPort{"localhost", 0}});
  ASSERT_TRUE(listeners) << listeners.error().message;
  ASSERT_GE(listeners->size(), 1u);
  const std::uint16_t port = (*listeners)[0].port();
  EXPECT_NE(port, 0);
  EXPECT_EQ((*listeners)[0].name(), fmt::format("127.0.0.1:{}", port));
  if (listeners->size() > 1)
    EXPECT_EQ((*listeners)[1].name(), fmt::format("[::1]:{}", port));  // no IPv6 in some containers
}

TEST_F(OpenListeners, AFamilyCanBeChosen) {
  const auto listeners = open({.endpoint = HostPort{"localhost", 0}, .family = tunnel::AddressFamily::ipv4});
  ASSERT_TRUE(listeners) << listeners.error().message;
  ASSERT_EQ(listeners->size(), 1u);
  EXPECT_TRUE((*listeners)[0].name().starts_with("127.0.0.1:"));
}

TEST_F(OpenListeners, APortInUseIsRefusedWhole) {
  const auto first = open({.endpoint = HostPort{"127.0.0.1", 0}});
  ASSERT_TRUE(first);
  const std::uint16_t port = (*first)[0].port();
  const auto second = open({.endpoint = HostPort{"localhost", port}});
  ASSERT_FALSE(second);
  EXPECT_TRUE(second.error().message.starts_with(
      fmt::format("cannot listen on 127.0.0.1:{}: address already in use", port)))
      << second.error().message;
}

TEST_F(OpenListeners, ThatAPortIsTakenCanBeKnownBefore) {
  auto first = open({.endpoint = HostPort{"127.0.0.1", 0}});
  ASSERT_TRUE(first);
  const std::uint16_t port = (*first)[0].port();
  for (const char* host : {"localhost", "*"}) {
    const auto taken = check_ports({.endpoint = HostPort{host, port}});
    ASSERT_FALSE(taken) << host;
    EXPECT_TRUE(taken.error().message.contains(fmt::format(":{}: address already in use", port)))
        << taken.error().message;
  }
  first->clear();
  EXPECT_TRUE(check_ports({.endpoint = HostPort{"localhost", port}}));
  EXPECT_TRUE(check_ports({.endpoint = HostPort{"localhost", port}})) << "it is free still";
  EXPECT_TRUE(check_ports({.endpoint = HostPort{"localhost", 0}}));
  EXPECT_TRUE(check_ports({.endpoint = UnixPath{"/nowhere/at/all"}}));
  EXPECT_TRUE(check_ports({.endpoint = HostPort{"no-such-name.invalid", port}})) << "nobody was asked for it";
}

TEST_F(OpenListeners, AnAddressOfAnotherMachineIsRefused) {
  const auto listeners = open({.endpoint = HostPort{"192.0.2.1", 0}});
  ASSERT_FALSE(listeners);
  EXPECT_TRUE(listeners.error().message.starts_with("cannot listen on 192.0.2.1:0: "))
      << listeners.error().message;
}

TEST_F(OpenListeners, ANameThatDoesNotResolveIsNamed) {
  const auto listeners = open({.endpoint = HostPort{"no-such-name.invalid", 8080}});
  ASSERT_FALSE(listeners);
  EXPECT_TRUE(listeners.error().message.starts_with("cannot listen on no-such-name.invalid:8080: "))
      << listeners.error().message;
}

TEST_F(OpenListeners, UnixSocketsGetTheirMask) {
  const std::string path = fmt::format("{}culvert-listen-{}", ::testing::TempDir(), ::getpid());
  {
    const auto listeners = open({.endpoint = UnixPath{path}, .socket_mask = 0117});
    ASSERT_TRUE(listeners) << listeners.error().message;
    EXPECT_EQ((*listeners)[0].name(), path);
    struct stat status{};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777u, 0660u);
    EXPECT_FALSE(open({.endpoint = UnixPath{path}}));
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0);  // removed when it was closed
}

}  // namespace
}  // namespace culvert::daemon

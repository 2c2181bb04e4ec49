// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/judged_listen.hpp"

#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "tests/support/run_task.hpp"

namespace culvert::relay {
namespace {

namespace asio = boost::asio;
using testing::run;

/// Names of the test have 127.0.0.3; the rule forbids "secret", port 25, and 127.0.0.2.
class JudgedListenTest : public ::testing::Test {
 protected:
  Bound listen_for(HostPort peer, net::ConnectOptions options = {}) {
    const auto judge = [](std::string_view host, std::uint16_t port,
                          const std::optional<IpAddress>& resolved) {
      files::Decision decision;
      decision.allowed = host != "secret" && port != 25 && (!resolved || resolved->text() != "127.0.0.2");
      decision.reason = "the rule of the test";
      return decision;
    };
    return run(context,
               listen_judged(names, std::move(peer), net::Family::any, std::move(options), judge, {}));
  }
  static std::string host_of(const Bound& bound) {
    return bound ? std::get<HostPort>((*bound)->bound()).host : bound.error().message;
  }

  asio::io_context context;
  net::Resolver names{1, 4, [](const std::string&, net::Family) {
                        return Result<std::vector<asio::ip::address>>({asio::ip::make_address("127.0.0.3")});
                      }};
};

TEST_F(JudgedListenTest, ListensWhereThePeerIsFaced) {
  const auto bound = listen_for({"127.0.0.3", 9});
  EXPECT_EQ(host_of(bound), "127.0.0.1");
  EXPECT_NE(std::get<HostPort>((*bound)->bound()).port, 0);
  EXPECT_EQ(host_of(listen_for({"127.0.0.3", 0})), "127.0.0.1");
  EXPECT_EQ(host_of(listen_for({"::1", 9})), "::1");
  EXPECT_EQ(host_of(listen_for({"0.0.0.0", 9})), "0.0.0.0");
  EXPECT_EQ(host_of(listen_for({"127.0.0.3", 9}, {.bind_addresses = {asio::ip::make_address("127.0.0.7")}})),
            "127.0.0.7");
}

TEST_F(JudgedListenTest, APeerWhoMayNotBeConnectedToIsNotListenedFor) {
  for (const HostPort& peer : {HostPort{"127.0.0.2", 9}, HostPort{"127.0.0.3", 25}, HostPort{"secret", 9}}) {
    const auto bound = listen_for(peer);
    ASSERT_FALSE(bound);
    EXPECT_EQ(bound.error().reason, Refusal::prohibited);
    EXPECT_EQ(bound.error().message, "not permitted: the rule of the test");
  }
}

TEST_F(JudgedListenTest, LetsInTheAddressesOfWhoWasNamed) {
  const auto bound = listen_for({"db", 9});
  ASSERT_TRUE(bound) << bound.error().message;
  EXPECT_TRUE((*bound)->lets_in(HostPort{"127.0.0.3", 25})) << "whatever port it comes from";
  EXPECT_TRUE((*bound)->lets_in(HostPort{"::ffff:127.0.0.3", 4711}));
  EXPECT_FALSE((*bound)->lets_in(HostPort{"127.0.0.4", 9}));
  EXPECT_FALSE((*bound)->lets_in(UnixPath{}));
}

TEST_F(JudgedListenTest, WhoWasNotNamedIsJudgedOnArrival) {
  for (const HostPort& peer : {HostPort{"0.0.0.0", 9}, HostPort{"::", 0}, HostPort{"127.0.0.3", 0}}) {
    const auto bound = listen_for(peer);
    ASSERT_TRUE(bound) << bound.error().message;
    EXPECT_TRUE((*bound)->lets_in(HostPort{"127.0.0.4", 9}));
    EXPECT_FALSE((*bound)->lets_in(HostPort{"127.0.0.4", 25}));
    EXPECT_FALSE((*bound)->lets_in(HostPort{"127.0.0.2", 9}));
  }
}

}  // namespace
}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/direct_dialer.hpp"

#include <chrono>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <gtest/gtest.h>

#include "engine/relay/socket_stream.hpp"
#include "net/listener.hpp"
#include "tests/support/run_task.hpp"

namespace culvert::relay {
namespace {

namespace asio = boost::asio;
using testing::run;

asio::ip::tcp::endpoint endpoint_at(const char* address, std::uint16_t port) {
  return {asio::ip::make_address(address), port};
}

class DirectDialerTest : public ::testing::Test {
 protected:
  DirectDialerTest() {
    auto listener = net::Listener::listen_tcp(context.get_executor(), endpoint_at("127.0.0.1", 0));
    EXPECT_TRUE(listener);
    listeners.push_back(std::move(*listener));
    target = HostPort{"127.0.0.1", listeners.front().port()};
  }
  Dialed dial(const net::ConnectOptions& options, Endpoint origin = UnixPath{}) {
    DirectDialer dialer(resolver, options);
    const KnownVisit visit(std::move(origin));
    return run(context, dialer.dial(target, visit));
  }
  static std::string from(const Dialed& dialed) {
    return dialed ? net::local_text((*dialed)->kernel_socket()->socket().native_handle())
                  : dialed.error().message;
  }

  asio::io_context context;
  net::Resolver resolver;
  std::vector<net::Listener> listeners;
  Endpoint target;
};

TEST_F(DirectDialerTest, SaysWhatIsWrongWithTheEndToConnectFrom) {
  net::ConnectOptions options;
  options.bind_addresses = {asio::ip::make_address("127.0.0.2")};
  options.bind_port = asio::ip::tcp::socket(context, endpoint_at("127.0.0.2", 0))
                          .local_endpoint()
                          .port();  // free a moment ago
  const std::string source = "127.0.0.2:" + std::to_string(options.bind_port);
  const auto first = dial(options);
  EXPECT_EQ(from(first), source);
  EXPECT_EQ(from(dial(options)),
            "connect failed: Cannot assign requested address (from " + source +
                ": no address of this machine, or another connection to there has the port)");
  options.bind_port = 0;
  options.bind_addresses = {asio::ip::make_address("192.0.2.77")};
  EXPECT_EQ(
      from(dial(options)),
      "connect failed: Cannot assign requested address (from 192.0.2.77:0: no address of this machine)");
  options.bind_addresses = {asio::ip::make_address("::1")};
  EXPECT_EQ(from(dial(options)), "connect failed: Address family not supported by protocol (from ::1)");
}

TEST_F(DirectDialerTest, ReachesIpv4HoweverItIsWritten) {
  net::ConnectOptions options;
  options.bind_addresses = {asio::ip::make_address("127.0.0.2")};
  target = HostPort{"::ffff:127.0.0.1", listeners.front().port()};
  EXPECT_TRUE(from(dial(options)).starts_with("127.0.0.2:")) << from(dial(options));
  EXPECT_TRUE(from(dial({})).starts_with("127.0.0.1:"));
}

TEST_F(DirectDialerTest, ConnectsFromTheVisitorsAddressIfItMay) {
  net::ConnectOptions options;
  options.transparent = true;
  const auto dialed = dial(options, HostPort{"::ffff:127.0.0.9", 4711});
  if (const auto may = net::may_be_transparent()) {
    EXPECT_TRUE(from(dialed).starts_with("127.0.0.9:")) << from(dialed);
  } else {
    EXPECT_EQ(from(dialed), "connect failed: " + may.error().message);
    EXPECT_EQ(dialed.error().reason, Refusal::prohibited);
  }
  EXPECT_TRUE(from(dial(options)).starts_with("127.0.0.1:")) << "who has no address";
}

TEST_F(DirectDialerTest, DatagramsGoWhereStreamsMay) {
  net::Resolver names(1, 4, [](const std::string&, net::Family) {
    return Result<std::vector<asio::ip::address>>(
        {asio::ip::make_address("127.0.0.2"), asio::ip::make_address("127.0.0.3")});
  });
  const auto judge = [](std::string_view host, std::uint16_t port, const std::optional<IpAddress>& resolved) {
    files::Decision decision;
    decision.allowed = host != "secret" && port != 25 && (!resolved || resolved->text() != "127.0.0.2");
    decision.reason = "the rule of the test";
    return decision;
  };
  DirectDialer dialer(names, {}, net::Family::any, judge);
  DatagramCarrier* const carrier = dialer.datagrams();
  ASSERT_NE(carrier, nullptr);
  const auto may = [&](const char* address, std::uint16_t port) {
    return carrier->judge({asio::ip::make_address(address), port}, UnixPath{}).has_value();
  };
  EXPECT_TRUE(may("127.0.0.3", 53));
  EXPECT_FALSE(may("127.0.0.3", 25));
  EXPECT_FALSE(may("127.0.0.2", 53));
  const auto found = run(context, carrier->look_up({"db", 53}, UnixPath{}));
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1) << "the address that passes";
  EXPECT_EQ(found->front().address().to_string(), "127.0.0.3");
  const auto secret = run(context, carrier->look_up({"secret", 53}, UnixPath{}));
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().message, "not permitted: the rule of the test");
}

}  // namespace
}  // namespace culvert::relay

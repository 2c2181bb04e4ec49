// SPDX-License-Identifier: Apache-2.0
// SOCKS UDP ASSOCIATE from the client's first byte to the last datagram: a front under a forward, and targets
// on loopback.
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <gtest/gtest.h>

#include "base/log.hpp"
#include "engine/proxy/front.hpp"
#include "engine/relay/forward.hpp"
#include "engine/relay/listener_source.hpp"
#include "engine/relay/socket_stream.hpp"
#include "net/connect.hpp"
#include "net/listener.hpp"
#include "net/udp_outbox.hpp"
#include "net/udp_socket.hpp"
#include "proto/socks/udp_header.hpp"
#include "tests/support/network_namespace.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/stream_io.hpp"
#include "tests/support/udp_peer.hpp"
#include "tests/support/value_of.hpp"

namespace culvert::proxy {
namespace {

namespace asio = boost::asio;
using namespace std::string_literals;
using asio::ip::tcp;
using asio::ip::udp;
using relay::SocketStream;
using testing::receive_all;
using testing::run;
using testing::send_all;
using testing::udp_at;
using testing::UdpPeer;

/// Judges as the test says.
class JudgingDialer final : public relay::Dialer, private relay::DatagramCarrier {
 public:
  relay::Task<relay::Dialed> dial(const relay::Endpoint&, const relay::Visit&) override {
    co_return std::unexpected(relay::DialError{relay::Refusal::unreachable, "nothing is there"});
  }
  relay::DatagramCarrier* datagrams() override { return can_carry ? this : nullptr; }

  bool can_carry = true;
  std::set<udp::endpoint> forbidden;
  std::size_t judged = 0;
  std::size_t looked_up = 0;
  std::optional<udp::endpoint> found;
  bool is_silent = false;

 private:
  std::expected<void, relay::DialError> judge(const udp::endpoint& to, const relay::Endpoint&) override {
    ++judged;
    if (!forbidden.contains(to)) return {};
    return std::unexpected(relay::DialError{relay::Refusal::prohibited, "forbidden"});
  }
  relay::Task<Found> look_up(relay::HostPort, relay::Endpoint) override {
    ++looked_up;
    if (is_silent) {
      asio::steady_timer never(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
      co_await never.async_wait(asio::use_awaitable);
    }
    if (!found) co_return std::unexpected(relay::DialError{relay::Refusal::unreachable, "no such name"});
    co_return std::vector{*found};
  }
};

std::string framed(const udp::endpoint& to, const std::string& data) {
  const auto header = to.address().is_v4() ? socks::UdpHeader(to.address().to_v4().to_bytes(), to.port())
                                           : socks::UdpHeader(to.address().to_v6().to_bytes(), to.port());
  return std::string(as_text(header.bytes())) + data;
}

std::string framed(const std::string& name, std::uint16_t port, const std::string& data) {
  return "\0\0\0\x03"s + static_cast<char>(name.size()) + name + static_cast<char>(port >> 8) +
         static_cast<char>(port) + data;
}

class AssociateTest : public ::testing::Test {
 protected:
  AssociateTest() { EXPECT_TRUE(set_up_log(LogLevel::error, "")); }
  ~AssociateTest() override { (void)set_up_log(LogLevel::notice, ""); }

  void begin(FrontOptions options = {}, const std::string& at = "127.0.0.1", relay::Rates rates = {}) {
    std::vector<net::Listener> listeners;
    listeners.push_back(testing::value_of(
        net::Listener::listen_tcp(context_.get_executor(), {asio::ip::make_address(at), 0})));
    at_ = tcp::endpoint(asio::ip::make_address(at == "0.0.0.0" ? "127.0.0.1" : at), listeners[0].port());
    forward_.emplace(
        std::make_unique<Front>(std::make_unique<relay::ListenerSource>(std::move(listeners)), options),
        dialer_, relay::ForwardOptions{.rates = std::move(rates)});
    running_.emplace(context_, forward_->run());
  }
  SocketStream connect() { return SocketStream(testing::value_of(run(context_, net::connect_tcp({at_})))); }
  /// The reply to UDP ASSOCIATE with these DST.ADDR and DST.PORT.
  std::string associate(SocketStream& control, const std::string& where = "\x01\0\0\0\0\0\0"s) {
    EXPECT_TRUE(run(context_, send_all(control, "\x05\x01\x00\x05\x03\x00"s + where, false)));
    auto reply = run(context_, receive_all(control, 2 + 10)).bytes;
    if (reply.at(5) == 4 && reply.size() < 2 + 22)
      reply += run(context_, receive_all(control, 2 + 22 - reply.size())).bytes;
    return reply.substr(2);
  }
  udp::endpoint bound(SocketStream& control, const std::string& where = "\x01\0\0\0\0\0\0"s) {
    const std::string reply = associate(control, where);
    EXPECT_EQ(reply.substr(0, 3), "\x05\x00\x00"s);
    const auto parsed = socks::read_udp_request(as_bytes("\0\0\0"s + reply.substr(3))).value();
    if (const auto* v6 = std::get_if<socks::Ipv6>(&parsed.host))
      return {asio::ip::address_v6(*v6), parsed.port};
    return {asio::ip::address_v4(std::get<socks::Ipv4>(parsed.host)), parsed.port};
  }

  void until(const std::function<bool()>& done) {
    testing::poll_until(context_, [&] {
      target_.echo("re:");
      return done();
    });
  }
  std::string hear(UdpPeer& client) {
    std::optional<UdpPeer::Heard> heard;
    until([&] { return heard || (heard = client.hear()); });
    return heard->text;
  }
  /// Whether what was sent before is ignored: something later has an answer, and that is the only one.
  void expect_only(UdpPeer& client, const udp::endpoint& at, const std::string& marker) {
    client.send(framed(target_.local(), marker), at);
    EXPECT_EQ(hear(client), framed(target_.local(), "re:" + marker));
    EXPECT_FALSE(client.hear());
  }

  asio::io_context context_;
  JudgingDialer dialer_;
  UdpPeer target_;
  tcp::endpoint at_;
  std::optional<relay::Forward> forward_;
  std::optional<testing::Running<Result<void>>> running_;
};

TEST_F(AssociateTest, DatagramsGoToWhomTheyName) {
  begin();
  auto control = connect();
  const auto at = bound(control);
  EXPECT_EQ(at.address().to_string(), "127.0.0.1");
  UdpPeer client;
  UdpPeer other;
  client.send(framed(target_.local(), "one"), at);
  EXPECT_EQ(hear(client), framed(target_.local(), "re:one"));
  client.send(framed(target_.local(), ""), at);
  EXPECT_EQ(hear(client), framed(target_.local(), "re:"));
  client.send(framed(other.local(), "two"), at);
  std::optional<UdpPeer::Heard> heard;
  until([&] { return heard || (heard = other.hear()); });
  EXPECT_EQ(heard->text, "two");
  for (const char* text : {"a", "b", "cc"}) other.send(text, heard->from);
  for (const char* text : {"a", "b", "cc"}) EXPECT_EQ(hear(client), framed(other.local(), text));
  EXPECT_EQ(dialer_.judged, 2) << "once for each destination";
  EXPECT_EQ(forward_->counters().live, 1);
}

TEST_F(AssociateTest, ManyAtOnceStayInOrder) {
  begin();
  auto control = connect();
  const auto at = bound(control);
  auto socket = net::connect_udp(at).value();
  net::UdpOutbox outbox;
  std::vector<std::string> sent;
  for (int i = 0; i < 60; ++i) sent.push_back(framed(target_.local(), std::to_string(100 + i)));
  for (const auto& one : sent) outbox.add(as_bytes(one), one.size());
  EXPECT_EQ(outbox.flush(socket).datagrams, 60);
  std::vector<std::string> got;
  UdpPeer* const target = &target_;
  testing::run_until(context_, [&] {
    for (auto& one : target->hear_all()) got.push_back(std::move(one));
    return got.size() == sent.size();
  });
  for (int i = 0; i < 60; ++i) EXPECT_EQ(got.at(static_cast<std::size_t>(i)), std::to_string(100 + i));
}

TEST_F(AssociateTest, WhatIsAboveTheRatesIsDropped) {
  begin({}, "127.0.0.1",
        {.out = std::make_shared<relay::Rate>(1000), .in = std::make_shared<relay::Rate>(103)});
  auto control = connect();
  const auto at = bound(control);
  UdpPeer client;
  client.send(framed(target_.local(), std::string(1100, 'x')), at);  // more than a second's worth
  client.send(framed(target_.local(), std::string(500, 'y')), at);   // with an answer that is
  client.send(framed(target_.local(), std::string(100, 'z')), at);
  EXPECT_EQ(hear(client), framed(target_.local(), "re:" + std::string(100, 'z')));
  EXPECT_FALSE(client.hear());
  control.end();
  until([&] { return forward_->counters().live == 0; });
  EXPECT_EQ(forward_->counters().bytes_out, 600);
}

TEST_F(AssociateTest, EndsWithItsConnection) {
  begin();
  auto control = connect();
  const auto at = bound(control);
  UdpPeer client;
  expect_only(client, at, "x");
  control.end();
  until([&] { return forward_->counters().live == 0; });
  EXPECT_EQ(forward_->counters().accepted, 1);
  EXPECT_EQ(forward_->counters().bytes_out, 1);
  UdpPeer taker(at);  // the port is free
}

TEST_F(AssociateTest, WhatComesOnTheConnectionIsThrownAway) {
  begin();
  auto control = connect();
  const auto at = bound(control);
  EXPECT_TRUE(run(context_, send_all(control, std::string(100'000, 'x'), false)));
  UdpPeer client;
  expect_only(client, at, "x");
}

TEST_F(AssociateTest, EndsWithTheForward) {
  begin();
  auto control = connect();
  const auto at = bound(control);
  dialer_.is_silent = true;
  UdpPeer client;
  client.send(framed("silent", 53, "x"), at);
  until([&] { return dialer_.looked_up == 1; });
  forward_->stop();
  EXPECT_TRUE(running_->wait());
  EXPECT_EQ(run(context_, forward_->drain(Duration::zero())), 1);
  EXPECT_EQ(run(context_, receive_all(control)).error->code, Errc::reset);
}

TEST_F(AssociateTest, OthersAreNotHeard) {
  begin({}, "0.0.0.0");
  auto control = connect();
  const auto at = bound(control);
  UdpPeer stranger(udp_at("127.0.0.2"));
  stranger.send(framed(target_.local(), "stranger"), at);
  UdpPeer client;
  expect_only(client, at, "first");
  UdpPeer second;  // another port of the same address
  second.send(framed(target_.local(), "second"), at);
  expect_only(client, at, "then");
  EXPECT_FALSE(stranger.hear());
  EXPECT_FALSE(second.hear());
}

TEST_F(AssociateTest, TheClientMaySayWhereItWillSpeakFrom) {
  begin();
  auto control = connect();
  UdpPeer client(udp_at("127.0.0.3"));
  const auto port = client.local().port();
  const auto at =
      bound(control, "\x01\x7F\x00\x00\x03"s + static_cast<char>(port >> 8) + static_cast<char>(port));
  UdpPeer wrong_address;
  UdpPeer wrong_port(udp_at("127.0.0.3"));
  wrong_address.send(framed(target_.local(), "x"), at);
  wrong_port.send(framed(target_.local(), "x"), at);
  expect_only(client, at, "right");
  EXPECT_FALSE(wrong_address.hear());
  EXPECT_FALSE(wrong_port.hear());
}

TEST_F(AssociateTest, AnAddressOfALinkIsMeantOnTheLinkOfTheConnection) {
  testing::in_namespace([this] {
    ASSERT_EQ(
        std::system("ip link set lo up && ip addr add fe80::1/64 dev lo nodad && "
                    // The kernel makes the route a moment later.
                    "for i in $(seq 500); do ip -6 route get fe80::1 oif lo && exit 0; sleep 0.01; done "
                    ">/dev/null 2>&1; exit 1"),
        0);
    target_ = UdpPeer();
    begin({}, "fe80::1%lo");
    auto control = connect();
    const std::string named = "\x04\xFE\x80"s + std::string(13, '\0') + "\x01\0\0"s;  // has no zone
    const auto port = bound(control, named).port();
    UdpPeer client(udp_at("fe80::1%lo"));
    expect_only(client, udp_at("fe80::1%lo", port), "x");
  });
}

TEST_F(AssociateTest, OnlyWhoWasWrittenToMayAnswer) {
  begin();
  auto control = connect();
  const auto at = bound(control);
  UdpPeer client;
  client.send(framed(target_.local(), "x"), at);
  std::optional<UdpPeer::Heard> heard;
  testing::run_until(context_, [&] { return heard || (heard = target_.hear()); });
  UdpPeer stranger;
  stranger.send("unasked", heard->from);
  target_.send("asked", heard->from);
  EXPECT_EQ(hear(client), framed(target_.local(), "asked"));
  EXPECT_FALSE(client.hear());
}

TEST_F(AssociateTest, FragmentsAndNonsenseAreDropped) {
  begin();
  auto control = connect();
  const auto at = bound(control);
  UdpPeer client;
  std::string fragment = framed(target_.local(), "fragment");
  fragment[2] = 1;
  client.send(fragment, at);
  client.send("", at);
  client.send("\0\0\0\x07nonsense"s, at);
  client.send(framed("", 53, "x"), at);
  expect_only(client, at, "good");
}

TEST_F(AssociateTest, RulesAreAskedAboutEveryDestination) {
  UdpPeer forbidden;
  dialer_.forbidden.insert(forbidden.local());
  begin();
  auto control = connect();
  const auto at = bound(control);
  UdpPeer client;
  client.send(framed(forbidden.local(), "x"), at);
  const auto mapped = asio::ip::make_address_v6(asio::ip::v4_mapped, asio::ip::make_address_v4("127.0.0.1"));
  client.send(framed(udp::endpoint(mapped, forbidden.local().port()), "x"), at);
  client.send(framed("127.0.0.1", forbidden.local().port(), "x"), at);
  client.send(framed("::ffff:127.0.0.1", forbidden.local().port(), "x"), at);
  expect_only(client, at, "allowed");
  EXPECT_FALSE(forbidden.hear());
  EXPECT_EQ(dialer_.looked_up, 0) << "an address in letters is none to look up";
}

TEST_F(AssociateTest, NamesAreLookedUp) {
  dialer_.found = target_.local();
  begin();
  auto control = connect();
  const auto at = bound(control);
  UdpPeer client;
  for (const char* text : {"a", "b"}) client.send(framed("db", target_.local().port(), text), at);
  for (const char* text : {"re:a", "re:b"}) EXPECT_EQ(hear(client), framed(target_.local(), text));
  client.send(framed("db", target_.local().port(), "c"), at);
  EXPECT_EQ(hear(client), framed(target_.local(), "re:c"));
  EXPECT_EQ(dialer_.looked_up, 1);
  dialer_.found.reset();
  client.send(framed("nobody", 53, "x"), at);
  expect_only(client, at, "y");
}

TEST_F(AssociateTest, WorksOverIpv6) {
  begin({}, "::1");
  auto control = connect();
  const auto at = bound(control);
  EXPECT_EQ(at.address().to_string(), "::1");
  UdpPeer client(udp_at("::1"));
  expect_only(client, at, "to IPv4");
  UdpPeer target(udp_at("::1"));
  client.send(framed(target.local(), "to IPv6"), at);
  std::string heard;
  until([&] {
    target.echo("6:");
    const auto answer = client.hear();
    if (answer) heard = answer->text;
    return answer.has_value();
  });
  EXPECT_EQ(heard, framed(target.local(), "6:to IPv6"));
}

TEST_F(AssociateTest, AdvertisesTheGivenAddress) {
  FrontOptions options;
  options.advertise = asio::ip::make_address("192.0.2.77");
  begin(options);
  auto control = connect();
  const auto at = bound(control);
  EXPECT_EQ(at.address().to_string(), "192.0.2.77");
  UdpPeer client;
  expect_only(client, udp_at("127.0.0.1", at.port()), "x");
}

TEST_F(AssociateTest, IsUnsupportedWhereDatagramsCannotBeCarried) {
  dialer_.can_carry = false;
  begin();
  auto control = connect();
  EXPECT_EQ(associate(control), "\x05\x07\x00\x01\0\0\0\0\0\0"s);
  EXPECT_FALSE(run(context_, receive_all(control)).error);
  EXPECT_EQ(forward_->counters().failed, 1);
}

}  // namespace
}  // namespace culvert::proxy

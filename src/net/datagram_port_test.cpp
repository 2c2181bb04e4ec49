// SPDX-License-Identifier: Apache-2.0
#include "net/datagram_port.hpp"

#include <cerrno>

#include <net/if.h>

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "tests/support/run_task.hpp"

namespace culvert::net {
namespace {

namespace asio = boost::asio;
using asio::ip::udp;

const auto kLoopback = asio::ip::make_address("127.0.0.1");

class DatagramPorts : public ::testing::Test {
 protected:
  asio::io_context io_;
};

TEST_F(DatagramPorts, HearTheirPeerAlone) {
  udp::socket peer(io_, {kLoopback, 0}), stranger(io_, {kLoopback, 0});
  auto port = DatagramPort::connect(io_.get_executor(), kLoopback, peer.local_endpoint());
  ASSERT_TRUE(port) << port.error().message;
  ASSERT_TRUE(port->send(as_bytes("hello")));
  std::array<char, 100> buffer;
  udp::endpoint from;
  EXPECT_EQ(peer.receive_from(asio::buffer(buffer), from), 5U);
  stranger.send_to(asio::buffer("stranger", 8), from);
  peer.send_to(asio::buffer("peer", 4), from);
  const auto heard = testing::run(io_, port->receive());
  ASSERT_TRUE(heard);
  EXPECT_EQ(as_text(heard->bytes), "peer");
  EXPECT_EQ(heard->from, peer.local_endpoint());
}

TEST_F(DatagramPorts, TellThatNobodyIsThere) {
  udp::endpoint nobody;
  {
    const udp::socket gone(io_, {kLoopback, 0});
    nobody = gone.local_endpoint();
  }
  auto port = DatagramPort::connect(io_.get_executor(), kLoopback, nobody);
  ASSERT_TRUE(port);
  ASSERT_TRUE(port->send(as_bytes("hello")));
  const auto heard = testing::run(io_, port->receive());
  ASSERT_FALSE(heard);
  EXPECT_EQ(heard.error().detail, ECONNREFUSED);
}

TEST_F(DatagramPorts, HearAGroupBesideOthers) {
  const udp::endpoint group(asio::ip::make_address("239.255.77.77"), 47653);
  const unsigned loopback = ::if_nametoindex("lo");
  auto first = DatagramPort::join(io_.get_executor(), group, loopback);
  auto second = DatagramPort::join(io_.get_executor(), group, loopback);
  ASSERT_TRUE(first) << first.error().message;
  ASSERT_TRUE(second) << second.error().message;
  auto sender = DatagramPort::open(io_.get_executor(), kLoopback, loopback);
  ASSERT_TRUE(sender) << sender.error().message;
  ASSERT_TRUE(sender->send_to(group, as_bytes("all")));
  for (DatagramPort* port : {&*first, &*second}) {
    const auto heard = testing::run(io_, port->receive());
    ASSERT_TRUE(heard);
    EXPECT_EQ(as_text(heard->bytes), "all");
  }
}

TEST_F(DatagramPorts, CloseEndsTheWait) {
  auto port = DatagramPort::open(io_.get_executor(), kLoopback, ::if_nametoindex("lo"));
  ASSERT_TRUE(port);
  auto waiting = testing::start(io_, port->receive());
  asio::steady_timer soon(io_, std::chrono::milliseconds(1));
  soon.async_wait([&](const auto&) { port->close(); });
  const auto heard = waiting.wait();
  ASSERT_FALSE(heard);
  EXPECT_EQ(heard.error().code, Errc::cancelled);
}

}  // namespace
}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#include "load/datagram.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "load/datagram_servers.hpp"

namespace culvert::load {
namespace {

using Bytes = std::vector<std::uint8_t>;

sockaddr_in anywhere() { return ipv4(parse_address("0.0.0.0:0")); }

sockaddr_in at(const auto& socket) {
  return ipv4(parse_address("127.0.0.1:" + std::to_string(port_of(socket.get()))));
}

/// What has come within some seconds, as (which visitor or server, text).
std::vector<std::pair<std::uint32_t, Bytes>> wait_for(DatagramSocket& socket, std::size_t count) {
  std::vector<std::pair<std::uint32_t, Bytes>> all;
  const Clock::time_point deadline = after(20);
  while (all.size() < count && Clock::now() < deadline) {
    socket.wait(deadline);
    for (const Datagrams& some : socket.receive()) {
      for (std::size_t i = 0; i < some.count(); ++i) {
        const auto text = some.at(i);
        all.emplace_back(some.here.s_addr, Bytes(text.begin(), text.end()));
      }
    }
  }
  return all;
}

TEST(Datagrams, ComeBackToTheVisitorThatSentThem) {
  DatagramEcho echo(anywhere());
  DatagramSocket visitors(anywhere());
  Bytes first{1, 2, 3};
  Bytes second{4, 5};
  const Datagrams both[] = {{.here = visitor(0), .there = at(echo), .bytes = first, .each = 3},
                            {.here = visitor(300), .there = at(echo), .bytes = second, .each = 2}};
  visitors.send(both);
  echo.turn();
  const auto come = wait_for(visitors, 2);
  ASSERT_EQ(come.size(), 2u);
  EXPECT_EQ(come[0], std::pair(visitor(0).s_addr, first));
  EXPECT_EQ(come[1], std::pair(visitor(300).s_addr, second));
}

TEST(Datagrams, StaySeparateWhenTheyAreSentAtOnce) {
  DatagramEcho echo(anywhere());
  DatagramSocket visitors(anywhere());
  Bytes text(250);
  std::iota(text.begin(), text.end(), std::uint8_t{0});
  const Datagrams three{.here = visitor(0), .there = at(echo), .bytes = text, .each = 100};
  EXPECT_EQ(three.count(), 3u);
  visitors.send({&three, 1});
  echo.turn();
  const auto come = wait_for(visitors, 3);
  ASSERT_EQ(come.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto sent = three.at(i);
    EXPECT_EQ(come[i].second, Bytes(sent.begin(), sent.end())) << i;
  }
}

Bytes parcel(std::uint64_t run, std::uint64_t number, bool wanted) {
  const Parcel parcel{.run = run, .flow = 7, .wanted = wanted ? 1u : 0u, .number = number};
  Bytes bytes(100);
  std::memcpy(bytes.data(), &parcel, sizeof parcel);
  return bytes;
}

TEST(DatagramSink, CountsTheDatagramsOfTheLastRun) {
  DatagramSink sink(anywhere());
  DatagramSocket sender(anywhere());
  const auto send = [&](Bytes bytes) {
    const Datagrams one{.here = visitor(0), .there = at(sink), .bytes = bytes, .each = bytes.size()};
    sender.send({&one, 1});
    sink.turn();
  };
  send(parcel(1, 1, false));
  send(parcel(2, 1, false));
  send({1, 2, 3});  // not one of ours
  send(parcel(2, 2, true));
  const auto come = wait_for(sender, 1);
  ASSERT_EQ(come.size(), 1u);
  Receipt receipt{};
  ASSERT_EQ(come[0].second.size(), sizeof receipt);
  std::memcpy(&receipt, come[0].second.data(), sizeof receipt);
  EXPECT_EQ(receipt.of.run, 2u);
  EXPECT_EQ(receipt.of.flow, 7u);
  EXPECT_EQ(receipt.of.number, 2u);
  EXPECT_EQ(receipt.arrived, 2u);
}

}  // namespace
}  // namespace culvert::load

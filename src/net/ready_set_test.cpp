// SPDX-License-Identifier: Apache-2.0
#include "net/ready_set.hpp"

#include <set>
#include <vector>

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "tests/support/run_task.hpp"
#include "tests/support/udp_peer.hpp"

namespace culvert::net {
namespace {

using testing::UdpPeer;

TEST(ReadySet, NamesThoseThatCanBeRead) {
  boost::asio::io_context context;
  ReadySet set(context.get_executor());
  std::vector<UdpPeer> peers(300);
  for (UdpPeer& peer : peers) ASSERT_TRUE(set.add(peer.fd(), &peer));
  EXPECT_TRUE(set.ready().empty());
  auto waiting = testing::start(context, set.wait());
  context.poll();
  EXPECT_FALSE(waiting.done());
  UdpPeer sender;
  sender.send("x", peers[7].local());
  EXPECT_TRUE(waiting.wait());
  for (int times = 0; times < 2; ++times) {  // level-triggered
    ASSERT_EQ(set.ready().size(), 1);
    EXPECT_EQ(set.ready()[0].owner, &peers[7]);
    EXPECT_FALSE(set.ready()[0].has_error);
  }
  EXPECT_TRUE(testing::run(context, set.wait())) << "what is there already counts";

  for (UdpPeer& peer : peers) sender.send("x", peer.local());
  std::set<void*> named;
  for (int times = 0; times < 10; ++times) {
    for (const auto& one : set.ready()) named.insert(one.owner);
  }
  EXPECT_EQ(named.size(), peers.size()) << "all have their turn";
}

TEST(ReadySet, NamesThoseWithAnError) {
  boost::asio::io_context context;
  ReadySet set(context.get_executor());
  UdpPeer peer;
  ASSERT_TRUE(set.add(peer.fd(), &peer));
  const auto nobody = UdpPeer().local();
  peer.connect(nobody);
  peer.send("x", nobody);
  ASSERT_TRUE(testing::run(context, set.wait()));
  ASSERT_EQ(set.ready().size(), 1);
  EXPECT_TRUE(set.ready()[0].has_error);
}

TEST(ReadySet, EndsWithClose) {
  boost::asio::io_context context;
  ReadySet set(context.get_executor());
  auto waiting = testing::start(context, set.wait());
  context.poll();
  set.close();
  EXPECT_EQ(waiting.wait().error().code, Errc::cancelled);
  EXPECT_TRUE(set.ready().empty());
  UdpPeer peer;
  EXPECT_FALSE(set.add(peer.fd(), &peer));
}

}  // namespace
}  // namespace culvert::net

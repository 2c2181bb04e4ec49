// SPDX-License-Identifier: Apache-2.0
#include "net/ready_set.hpp"

#include <memory>
#include <set>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "tests/support/run_task.hpp"
#include "tests/support/udp_peer.hpp"

namespace culvert::net {
namespace {

using testing::UdpPeer;

// The peers, all of them in the set.
struct Watched {
  Watched(ReadySet& set, std::size_t count) : peers(count) {
    for (UdpPeer& peer : peers) members.push_back(*set.add(peer.fd(), &peer));
  }
  std::vector<UdpPeer> peers;
  std::vector<std::unique_ptr<ReadySet::Member>> members;
};

// One datagram, as who reads there would: whether it was there.
bool receive(int socket) {
  char byte = 0;
  return ::recv(socket, &byte, 1, MSG_DONTWAIT) == 1;
}

TEST(ReadySet, NamesThoseThatCanBeReadUntilTheyAreDrained) {
  boost::asio::io_context context;
  ReadySet set(context.get_executor());
  Watched watched(set, 10);
  UdpPeer sender;
  UdpPeer& seventh = watched.peers[7];
  for (int times = 0; times < 2; ++times) {
    EXPECT_TRUE(set.ready().empty());
    auto waiting = testing::start(context, set.wait());
    context.poll();
    EXPECT_FALSE(waiting.done());
    sender.send("x", seventh.local());
    EXPECT_TRUE(waiting.wait());
    for (int looks = 0; looks < 2; ++looks) {
      ASSERT_EQ(set.ready().size(), 1);
      EXPECT_EQ(set.ready()[0].owner, &seventh);
      EXPECT_FALSE(set.ready()[0].member->take_error_seen());
    }
    EXPECT_TRUE(testing::run(context, set.wait())) << "what is there already counts";
    EXPECT_TRUE(receive(seventh.fd()));
    EXPECT_FALSE(receive(seventh.fd()));
    set.ready()[0].member->drained();
  }
}

TEST(ReadySet, AllHaveTheirTurn) {
  boost::asio::io_context context;
  ReadySet set(context.get_executor());
  Watched watched(set, 300);
  UdpPeer sender;
  for (UdpPeer& peer : watched.peers) sender.send("x", peer.local());
  std::set<void*> named;
  for (int times = 0; times < 10; ++times) {
    ASSERT_TRUE(testing::run(context, set.wait()));
    for (const auto& one : set.ready()) named.insert(one.owner);
    context.restart();
    context.poll();
  }
  EXPECT_EQ(named.size(), watched.peers.size()) << "though nobody was drained";
}

TEST(ReadySet, NamesThoseWithAnErrorOnce) {
  boost::asio::io_context context;
  ReadySet set(context.get_executor());
  Watched watched(set, 1);
  UdpPeer& peer = watched.peers[0];
  const auto nobody = UdpPeer().local();
  peer.connect(nobody);
  peer.send("x", nobody);
  ASSERT_TRUE(testing::run(context, set.wait()));
  ASSERT_EQ(set.ready().size(), 1);
  EXPECT_TRUE(set.ready()[0].member->take_error_seen());
  EXPECT_FALSE(set.ready()[0].member->take_error_seen());
}

TEST(ReadySet, DoesNotNameWhoHasLeft) {
  boost::asio::io_context context;
  ReadySet set(context.get_executor());
  Watched watched(set, 3);
  UdpPeer sender;
  for (UdpPeer& peer : watched.peers) sender.send("x", peer.local());
  ASSERT_TRUE(testing::run(context, set.wait()));
  ASSERT_EQ(set.ready().size(), 3);
  watched.members.erase(watched.members.begin() + 1);
  ASSERT_EQ(set.ready().size(), 2);
  for (const auto& one : set.ready()) EXPECT_NE(one.owner, &watched.peers[1]);
  watched.members.clear();
  EXPECT_TRUE(set.ready().empty());
}

TEST(ReadySet, EndsWithClose) {
  boost::asio::io_context context;
  ReadySet set(context.get_executor());
  Watched watched(set, 1);
  auto waiting = testing::start(context, set.wait());
  context.poll();
  UdpPeer().send("x", watched.peers[0].local());
  set.close();
  EXPECT_EQ(waiting.wait().error().code, Errc::cancelled);
  EXPECT_TRUE(set.ready().empty());
  EXPECT_FALSE(set.add(watched.peers[0].fd(), nullptr));
  EXPECT_EQ(testing::run(context, set.wait()).error().code, Errc::cancelled);
}

TEST(ReadySet, EndsWithItsContext) {
  auto context = std::make_unique<boost::asio::io_context>();
  struct Owner {
    explicit Owner(boost::asio::io_context& of) : set(of.get_executor()), watched(set, 2) {}
    ReadySet set;
    Watched watched;
  };
  auto owner = std::make_shared<Owner>(*context);
  const std::weak_ptr<Owner> remains = owner;
  boost::asio::co_spawn(
      *context,
      [](std::shared_ptr<Owner> held) -> boost::asio::awaitable<void> {
        (void)co_await held->set.wait();
      }(std::move(owner)),
      boost::asio::detached);
  context->poll();
  context.reset();
  EXPECT_TRUE(remains.expired()) << "who waits holds the set, which holds who waits";
}

}  // namespace
}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#include "net/lingering_close.hpp"

#include <array>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/write.hpp>

#include <gtest/gtest.h>

namespace culvert::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

class LingeringClose : public ::testing::Test {
 protected:
  LingeringClose() {
    tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
    tcp::socket near(io);
    near.connect(acceptor.local_endpoint());
    peer = acceptor.accept();
    near.native_non_blocking(true);
    closing = std::make_unique<StreamSocket>(adopt(io.get_executor(), near.release()).value());
  }

  asio::io_context io;
  tcp::socket peer{io};
  std::unique_ptr<StreamSocket> closing;
};

TEST_F(LingeringClose, WhatWasSentArrivesAlthoughThePeerSendsMore) {
  ASSERT_EQ(try_write(closing->native_handle(), as_bytes("last words")).bytes, 10u);
  asio::write(peer, asio::buffer(std::string(100000, 'x')));
  lingering_close(std::move(*closing));
  io.run_for(std::chrono::milliseconds(50));
  asio::write(peer, asio::buffer(std::string(100000, 'x')));
  std::array<char, 64> got{};
  EXPECT_EQ(peer.read_some(asio::buffer(got)), 10u);
  peer.shutdown(tcp::socket::shutdown_send);
  io.restart();
  EXPECT_LT(io.run_for(std::chrono::seconds(4)), 1000u);
  EXPECT_TRUE(io.stopped());
}

TEST_F(LingeringClose, TheOldestMakesRoomForOneTooMany) {
  const std::size_t most = most_lingering();
  constexpr auto kLong = std::chrono::minutes(10);  // so many take their time on a busy machine
  lingering_close(std::move(*closing), kLong);
  std::vector<tcp::socket> peers;
  for (std::size_t i = 0; i <= most; ++i) {
    tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
    tcp::socket near(io);
    near.connect(acceptor.local_endpoint());
    peers.push_back(acceptor.accept());
    if (i == most - 1) peer.close();  // it ends by itself, and counts no more
    io.poll();
    near.native_non_blocking(true);
    lingering_close(adopt(io.get_executor(), near.release()).value(), kLong);
  }
  const auto is_over = [](tcp::socket& one) {
    boost::system::error_code error;
    asio::write(one, asio::buffer("x", 1), error);
    asio::write(one, asio::buffer("x", 1), error);  // the first one is answered with a reset
    return static_cast<bool>(error);
  };
  EXPECT_TRUE(is_over(peers[0]));
  EXPECT_FALSE(is_over(peers[1]));
}

TEST_F(LingeringClose, AFloodIsNotHeardToItsEnd) {
  const std::vector<char> flood(64 * 1024, 'x');
  std::size_t sent = 0;
  bool broken = false;
  std::function<void()> send = [&] {
    peer.async_write_some(asio::buffer(flood), [&](const boost::system::error_code& error, std::size_t n) {
      broken = static_cast<bool>(error);
      sent += n;
      if (!broken) send();
    });
  };
  send();
  lingering_close(std::move(*closing), std::chrono::seconds(60));
  io.run_for(std::chrono::seconds(10));
  EXPECT_TRUE(broken);
  EXPECT_LT(sent, 64u << 20);
}

TEST_F(LingeringClose, AFloodDoesNotDropWhatIsStillToBeSent) {
  const std::vector<char> words(4 << 20, 'w');  // more than the kernels' buffers hold at once
  std::size_t waiting = 0;
  for (int i = 0; i < 64; ++i)
    waiting += try_write(closing->native_handle(), as_bytes(std::string_view(words.data(), 65536))).bytes;
  ASSERT_GT(waiting, 65536u);
  peer.non_blocking(true);
  const auto push = [&] {
    boost::system::error_code ignored;
    for (int i = 0; i < 64; ++i) peer.write_some(asio::buffer(words), ignored);
  };
  push();
  lingering_close(std::move(*closing), std::chrono::seconds(10));
  std::size_t got = 0;
  std::vector<char> room(1 << 20);
  for (int i = 0; i < 2000 && got < waiting; ++i) {
    io.run_for(std::chrono::milliseconds(2));
    push();
    boost::system::error_code error;
    got += peer.read_some(asio::buffer(room), error);
  }
  EXPECT_EQ(got, waiting);
}

}  // namespace
}  // namespace culvert::net

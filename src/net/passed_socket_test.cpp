// SPDX-License-Identifier: Apache-2.0
#include "net/passed_socket.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "net/connect.hpp"
#include "net/listener.hpp"
#include "net/unique_fd.hpp"
#include "tests/support/run_task.hpp"

namespace culvert::net {
namespace {

namespace asio = boost::asio;
using testing::run;
using testing::start;

class PassedSocketTest : public ::testing::Test {
 protected:
  PassedSocketTest() {
    auto [ours, theirs] = pair(SOCK_STREAM);
    here_ = *adopt(context_.get_executor(), ours.release());
    there_ = std::move(theirs);
  }

  static std::pair<UniqueFd, UniqueFd> pair(int type) {
    std::array<int, 2> ends = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()), 0);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
  }

  void pass(const std::vector<int>& descriptors) const {
    char byte = 0;
    iovec place = {&byte, 1};
    std::vector<char> control(CMSG_SPACE(sizeof(int) * descriptors.size()));
    msghdr header = {};
    header.msg_iov = &place;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof(int) * descriptors.size());
    std::memcpy(CMSG_DATA(part), descriptors.data(), sizeof(int) * descriptors.size());
    EXPECT_EQ(::sendmsg(there_.get(), &header, 0), 1);
  }

  auto received() { return run(context_, receive_socket(here_)); }

  std::string refusal() {
    const auto socket = received();
    return socket ? "" : socket.error().message;
  }

  static int open_descriptors() {
    int count = 0;
    for (int i = 0; i < 1024; ++i) count += ::fcntl(i, F_GETFD) >= 0 ? 1 : 0;
    return count;
  }

  asio::io_context context_{1};
  StreamSocket here_;
  UniqueFd there_;
};

TEST_F(PassedSocketTest, TakesAConnection) {
  auto listener = Listener::listen_tcp(context_.get_executor(), {asio::ip::make_address("127.0.0.1"), 0});
  ASSERT_TRUE(listener);
  auto running = start(context_, receive_socket(here_));
  {
    auto connected = run(context_, connect_tcp({{asio::ip::make_address("127.0.0.1"), listener->port()}}));
    ASSERT_TRUE(connected);
    EXPECT_FALSE(running.done());
    pass({connected->native_handle()});
  }
  auto socket = running.wait();
  ASSERT_TRUE(socket) << socket.error().message;
  const int handle = socket->native_handle();
  EXPECT_EQ(peer_endpoint(handle)->port(), listener->port());
  EXPECT_NE(::fcntl(handle, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(::fcntl(handle, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(try_write(handle, as_bytes("x")).bytes, 1u);
}

TEST_F(PassedSocketTest, TakesAUnixSocketThatBlocks) {
  const auto [one, other] = pair(SOCK_STREAM);
  pass({one.get()});
  auto socket = received();
  ASSERT_TRUE(socket) << socket.error().message;
  EXPECT_EQ(try_write(socket->native_handle(), as_bytes("x")).bytes, 1u);
}

TEST_F(PassedSocketTest, RefusesWhatIsNoConnectionAndKeepsNothing) {
  const auto [one, other] = pair(SOCK_STREAM);
  const auto [datagrams, more] = pair(SOCK_DGRAM);
  const UniqueFd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const UniqueFd unconnected(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int before = open_descriptors();
  pass({file.get()});
  EXPECT_EQ(refusal(), "what it passed is no socket");
  pass({datagrams.get()});
  EXPECT_EQ(refusal(), "what it passed is no stream socket");
  pass({unconnected.get()});
  EXPECT_EQ(refusal(), "the socket that it passed is not connected");
  pass({one.get(), other.get()});
  EXPECT_EQ(refusal(), "it passed more than one descriptor");
  pass(std::vector<int>(100, one.get()));
  EXPECT_EQ(refusal(), "it passed more than one descriptor");
  EXPECT_EQ(::send(there_.get(), "S", 1, 0), 1);
  EXPECT_EQ(refusal(), "it wrote data and passed no connection");
  EXPECT_EQ(open_descriptors(), before);
  there_.reset();
  EXPECT_EQ(refusal(), "it ended without passing a connection");
}

TEST_F(PassedSocketTest, ObeysCancellation) {
  auto running = start(context_, receive_socket(here_));
  context_.run_for(std::chrono::milliseconds(5));
  running.cancel();
  const auto socket = running.wait();
  ASSERT_FALSE(socket);
  EXPECT_EQ(socket.error().code, Errc::cancelled);
}

}  // namespace
}  // namespace culvert::net

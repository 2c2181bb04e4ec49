// SPDX-License-Identifier: Apache-2.0
#include "net/pipe_pool.hpp"

#include <cerrno>
#include <csignal>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "net/connect.hpp"
#include "net/listener.hpp"
#include "tests/support/run_task.hpp"

namespace culvert::net {
namespace {

namespace asio = boost::asio;

class PipeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);  // as the program does: splice() has no flag against it
    std::tie(source_, feeder_) = ends();
    std::tie(destination_, peer_) = ends();
    const int small = 4096;
    ASSERT_EQ(::setsockopt(destination_.native_handle(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    const std::vector<std::uint8_t> much(kPipeSize);
    ASSERT_GT(feeder_.write(ByteView(much)).bytes, 0u);
    ASSERT_TRUE(testing::run(context_, wait_readable(source_)));
    pipe_.emplace(Pipe::take().value());
    ASSERT_GT(pipe_->fill_from(source_).bytes, 100'000u);
    ASSERT_GT(pipe_->drain_to(destination_).bytes, 0u);
    ASSERT_GT(pipe_->size(), 0u) << "a part was taken";
  }

  std::pair<StreamSocket, StreamSocket> ends() {
    const asio::ip::tcp::endpoint any(asio::ip::make_address("127.0.0.1"), 0);
    auto listener = Listener::listen_tcp(context_.get_executor(), any);
    auto there = *testing::run(context_, connect_tcp({*listener->endpoint()}));
    return {std::move(testing::run(context_, listener->accept())->socket), std::move(there)};
  }

  // As splice() does when it comes while a part was moved already.
  int reset_that_nobody_reports() {
    (void)set_reset_on_close(peer_.native_handle());
    peer_.close();
    int error = 0;
    socklen_t length = sizeof error;
    EXPECT_EQ(::getsockopt(destination_.native_handle(), SOL_SOCKET, SO_ERROR, &error, &length), 0);
    return error;
  }

  asio::io_context context_;
  StreamSocket source_, feeder_, destination_, peer_;
  std::optional<Pipe> pipe_;
};

TEST_F(PipeTest, AResetThatSpliceHasSwallowedIsOne) {
  EXPECT_EQ(reset_that_nobody_reports(), ECONNRESET);
  EXPECT_EQ(pipe_->drain_to(destination_).error, ECONNRESET);
}

TEST_F(PipeTest, APeerThatHadEndedTakesNoMore) {
  ::shutdown(peer_.native_handle(), SHUT_WR);
  EXPECT_TRUE(testing::run(context_, wait_readable(destination_)));
  EXPECT_TRUE(destination_.has_sent_end());
  EXPECT_EQ(reset_that_nobody_reports(), EPIPE);
  EXPECT_EQ(pipe_->drain_to(destination_).error, EPIPE);
}

TEST_F(PipeTest, AResetIsNoEnd) {
  (void)set_reset_on_close(peer_.native_handle());
  peer_.close();
  EXPECT_TRUE(testing::run(context_, wait_readable(destination_)));
  EXPECT_FALSE(destination_.has_sent_end());
}

}  // namespace
}  // namespace culvert::net

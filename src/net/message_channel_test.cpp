// SPDX-License-Identifier: Apache-2.0
#include "net/message_channel.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace culvert::net {
namespace {

class MessageChannelTest : public ::testing::Test {
 protected:
  std::pair<MessageChannel, MessageChannel> ends_ = *MessageChannel::make_pair();
  MessageChannel& here_ = ends_.first;
  MessageChannel& there_ = ends_.second;
};

TEST_F(MessageChannelTest, MessagesStayApart) {
  ASSERT_TRUE(here_.send(Bytes{1, 2}));
  ASSERT_TRUE(here_.send(Bytes{3}));
  EXPECT_EQ(there_.receive(8)->bytes, (Bytes{1, 2}));
  EXPECT_EQ(there_.receive(1)->bytes, (Bytes{3}));
}

TEST_F(MessageChannelTest, ADescriptorComesAlong) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reads(ends[0]);
  const UniqueFd writes(ends[1]);
  ASSERT_TRUE(here_.send(Bytes{1}, writes.get()));
  const auto message = there_.receive(8);
  ASSERT_TRUE(message && message->descriptor);
  EXPECT_NE(message->descriptor.get(), writes.get());
  ASSERT_EQ(::write(message->descriptor.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(reads.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
}

TEST_F(MessageChannelTest, MoreThanTheLimitIsRefused) {
  ASSERT_TRUE(here_.send(Bytes(9)));
  EXPECT_EQ(there_.receive(8).error().code, Errc::malformed);
}

TEST_F(MessageChannelTest, TheEndIsTold) {
  ASSERT_TRUE(there_.send(Bytes{1}));
  here_.close();
  EXPECT_EQ(there_.receive(8).error().code, Errc::closed);
  EXPECT_EQ(there_.send(Bytes{1}).error().code, Errc::closed);
}

}  // namespace
}  // namespace culvert::net

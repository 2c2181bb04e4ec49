// SPDX-License-Identifier: Apache-2.0
#include "net/descriptor_relief.hpp"

#include <sys/resource.h>

#include <memory>

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

namespace culvert::net {
namespace {

struct Holder final : DescriptorHolder {
  explicit Holder(std::size_t count) : held(count) {}
  [[nodiscard]] std::size_t held_descriptors() const override { return held; }
  void give_up_oldest() override { --held; }
  std::size_t held;
};

class DescriptorReliefTest : public ::testing::Test {
 protected:
  DescriptorReliefTest() {
    relief.add(few);
    relief.add(*many);
  }

  boost::asio::io_context context;
  DescriptorRelief& relief = DescriptorRelief::of(context.get_executor());
  Holder few{1};
  std::unique_ptr<Holder> many = std::make_unique<Holder>(40);
};

TEST_F(DescriptorReliefTest, WhoHoldsMostGivesOneUp) {
  EXPECT_TRUE(relief.make_room());
  EXPECT_EQ(many->held, 39U);
  many.reset();
  EXPECT_TRUE(relief.make_room());
  EXPECT_EQ(few.held, 0U);
  EXPECT_FALSE(relief.make_room());
}

TEST_F(DescriptorReliefTest, TheLastOnesAreKeptForConnecting) {
  rlimit limit = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_GE(limit.rlim_cur, 512U);
  const auto last = static_cast<int>(limit.rlim_cur - 1);
  relief.got(last - 64);
  EXPECT_EQ(many->held, 40U);
  relief.got(last - 63);
  EXPECT_EQ(many->held, 38U) << "room for a client, and for what it is connected to";
  for (int i = 0; i < 20; ++i) relief.got(last - 63);
  EXPECT_EQ(many->held, 32U) << "clients who have just come may speak";
  EXPECT_EQ(few.held, 1U);
}

}  // namespace
}  // namespace culvert::net

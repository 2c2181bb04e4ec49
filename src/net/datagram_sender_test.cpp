// SPDX-License-Identifier: Apache-2.0
#include "net/datagram_sender.hpp"

#include <cerrno>

#include <unistd.h>

#include <fmt/format.h>

#include <gtest/gtest.h>

#include "tests/support/datagram_ear.hpp"
#include "tests/support/temp_dir.hpp"

namespace culvert::net {
namespace {

using culvert::testing::DatagramEar;
constexpr Duration kPatience = std::chrono::milliseconds(50);
constexpr auto kAtOnce = DatagramSender::Mode::at_once;
constexpr auto kPatient = DatagramSender::Mode::patient;

TEST(DatagramSender, ReachesAPathAndAnAbstractName) {
  const culvert::testing::TempDir folder;
  for (const std::string& name :
       {(folder.path() / "ear").string(), fmt::format("@culvert-test-{}", ::getpid())}) {
    DatagramEar ear(name);
    auto sender = DatagramSender::make(name, kPatience);
    ASSERT_TRUE(sender) << sender.error().message;
    EXPECT_TRUE(sender->send("one", kAtOnce));
    EXPECT_TRUE(sender->send("two\ntwo", kPatient));
    EXPECT_EQ(ear.hear(), "one");
    EXPECT_EQ(ear.hear(), "two\ntwo");
    EXPECT_EQ(ear.hear(), "(nothing)");
  }
}

TEST(DatagramSender, AFullQueueIsWaitedForOnlyAsLongAsSaid) {
  const culvert::testing::TempDir folder;
  const std::string name = folder.path() / "ear";
  DatagramEar ear(name);
  auto sender = DatagramSender::make(name, kPatience);
  ASSERT_TRUE(sender);
  Result<void> sent;
  for (int i = 0; i < 100'000 && sent; ++i) sent = sender->send("more than its queue holds", kAtOnce);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().detail, EAGAIN);
  const Instant begin = monotonic_now();
  EXPECT_EQ(sender->send("x", kPatient).error().detail, EAGAIN);
  EXPECT_GE(monotonic_now() - begin, kPatience);
}

TEST(DatagramSender, GoesToWhoeverHasTheAddressByThen) {
  const culvert::testing::TempDir folder;
  const std::string name = folder.path() / "ear";
  auto sender = DatagramSender::make(name, kPatience);
  ASSERT_TRUE(sender);
  EXPECT_EQ(sender->send("x", kAtOnce).error().detail, ENOENT);
  DatagramEar ear(name);
  EXPECT_TRUE(sender->send("x", kAtOnce));
  EXPECT_EQ(ear.hear(), "x");
}

TEST(DatagramSender, RefusesOtherNames) {
  EXPECT_EQ(DatagramSender::make("vsock:2:1", kPatience).error().message,
            "vsock:2:1 is neither a path nor @ and a name");
  for (const std::string& name : {std::string(), std::string("/"), std::string("@"), std::string("ear"),
                                  "/" + std::string(107, 'x'), "@" + std::string(5000, 'x')}) {
    EXPECT_FALSE(DatagramSender::make(name, kPatience)) << name;
  }
  EXPECT_TRUE(DatagramSender::make("/" + std::string(106, 'x'), kPatience));
}

}  // namespace
}  // namespace culvert::net

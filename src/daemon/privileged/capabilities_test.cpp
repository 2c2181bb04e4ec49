// SPDX-License-Identifier: Apache-2.0
#include "daemon/privileged/capabilities.hpp"

#include <thread>

#include <gtest/gtest.h>

namespace culvert::daemon {
namespace {

TEST(Capabilities, WhatIsGivenUpDoesNotComeBack) {
  std::thread([] {  // they belong to a thread
    const auto before = permitted_capabilities();
    ASSERT_TRUE(before);
    ASSERT_TRUE(keep_capabilities(kNetRaw | kBindService));
    EXPECT_EQ(permitted_capabilities(), *before & (kNetRaw | kBindService));
    ASSERT_TRUE(keep_capabilities(kNetRaw));
    ASSERT_TRUE(keep_capabilities(kNetRaw | kBindService));
    EXPECT_EQ(permitted_capabilities(), *before & kNetRaw);
    std::thread([&] { EXPECT_EQ(permitted_capabilities(), *before & kNetRaw); }).join();
    ASSERT_TRUE(keep_capabilities(kNoCapabilities));
    EXPECT_EQ(permitted_capabilities(), kNoCapabilities);
  })
      .join();
}

TEST(Capabilities, AreNamedForPeople) {
  EXPECT_EQ(to_string(kNetRaw | kBindService), "CAP_NET_RAW, CAP_NET_BIND_SERVICE");
  EXPECT_EQ(to_string(kNoCapabilities), "");
}

}  // namespace
}  // namespace culvert::daemon

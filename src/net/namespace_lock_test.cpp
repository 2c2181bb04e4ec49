// SPDX-License-Identifier: Apache-2.0
#include "net/namespace_lock.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include <gtest/gtest.h>

#include "tests/support/network_namespace.hpp"

namespace culvert::net {
namespace {

using testing::in_namespace;

bool is_held(std::uint8_t number) {
  const auto held = hold_number(number);
  EXPECT_TRUE(held) << held.error().message;
  return held && held->has_value();
}

TEST(NamespaceLock, OneHasANumberUntilItIsClosed) {
  in_namespace([] {
    {
      const auto first = hold_number(1);
      ASSERT_TRUE(first && *first);
      EXPECT_FALSE(is_held(1));
      EXPECT_TRUE(is_held(2));
      in_namespace([] { EXPECT_TRUE(is_held(1)); });
    }
    EXPECT_TRUE(is_held(1));
  });
}

TEST(NamespaceLock, IsNotForEverybody) {
  in_namespace([] {
    bool had_it = true;
    std::jthread([&] {
      // Of this thread alone, and with it go its capabilities.
      if (::syscall(SYS_setresuid, 65534, 65534, 65534) != 0) return;
      const auto held = hold_number(1);
      had_it = !held || *held;
    }).join();
    EXPECT_FALSE(had_it);
    EXPECT_TRUE(is_held(1));
  });
}

}  // namespace
}  // namespace culvert::net

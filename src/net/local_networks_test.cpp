// SPDX-License-Identifier: Apache-2.0
#include "net/local_networks.hpp"

#include <array>

#include <gtest/gtest.h>

namespace culvert::net {
namespace {

Result<bool> ask(std::string_view network) { return has_address_in(std::array{network}); }

TEST(LocalNetworks, LoopbackDoesNotCount) {
  EXPECT_EQ(ask("127.0.0.0/8"), false);
  EXPECT_EQ(ask("::1"), false);
}

TEST(LocalNetworks, WhatIsNoNetworkIsRefused) {
  for (const std::string_view text : {"", "x", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "10.0.0.1/8",
                                      "::/129", "::1/64", "10.0.0.0/99999999999"}) {
    const auto answer = ask(text);
    ASSERT_FALSE(answer) << text;
    EXPECT_EQ(answer.error().code, Errc::usage);
  }
}

}  // namespace
}  // namespace culvert::net

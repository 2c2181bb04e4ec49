// SPDX-License-Identifier: Apache-2.0
#include "daemon/permitted_remote.hpp"

#include <gtest/gtest.h>

namespace culvert::daemon {
namespace {

TEST(PermittedRemote, NothingPermitsEverything) { EXPECT_FALSE(judge_of_remote(std::nullopt)); }

TEST(PermittedRemote, NoRulePermitsNothing) {
  const auto refused = judge_of_remote({{}})("db", 5432, std::nullopt);
  EXPECT_FALSE(refused);
  EXPECT_EQ(relay::not_permitted(refused).message, "not permitted: no rule of PermitRemoteOpen names it");
}

TEST(PermittedRemote, HostsAreComparedAsTheyAreGiven) {
  const auto judge = judge_of_remote({{{"db", 5432}, {"*", 443}, {"192.0.2.1", 0}}});
  const auto permits = [&](std::string_view host, std::uint16_t port) {
    const bool before = bool(judge(host, port, std::nullopt));
    EXPECT_EQ(bool(judge(host, port, IpAddress::parse("192.0.2.1"))), before) << host << port;
    return before;
  };
  EXPECT_TRUE(permits("db", 5432));
  EXPECT_FALSE(permits("db", 5433));
  EXPECT_FALSE(permits("DB", 5432));
  EXPECT_TRUE(permits("anything", 443));
  EXPECT_TRUE(permits("192.0.2.1", 1));
  EXPECT_FALSE(permits("other", 1)) << "though it resolves to the one that is permitted";
}

}  // namespace
}  // namespace culvert::daemon

// SPDX-License-Identifier: Apache-2.0
// What they are on a machine with routers is tested in network namespaces: tests/python/test_open.py.
#include "net/default_routes.hpp"

#include <gtest/gtest.h>

#include "net/addresses.hpp"

namespace culvert::net {
namespace {

TEST(DefaultRoutes, LeadFromOwnAddresses) {
  const auto routes = default_routes();
  ASSERT_TRUE(routes) << routes.error().message;
  for (const DefaultRoute& route : *routes) {
    EXPECT_TRUE(has_address(route.here));
    EXPECT_EQ(route.gateway.is_v4(), route.here.is_v4());
    EXPECT_FALSE(route.interface.empty());
    EXPECT_NE(route.index, 0U);
  }
}

}  // namespace
}  // namespace culvert::net

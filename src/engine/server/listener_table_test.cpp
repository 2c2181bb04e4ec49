// SPDX-License-Identifier: Apache-2.0
#include "engine/server/listener_table.hpp"

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>

namespace culvert::server {
namespace {

// Whoever binds a place that another one has just left may say so before that one does.
TEST(ListenerTable, WhoLeavesAPlaceTakesItFromNobodyElse) {
  boost::asio::io_context io;
  const auto session = [&](const char* name) {
    return std::make_shared<const SessionHandle>(io.get_executor(), std::weak_ptr<LiveSession>(), "key",
                                                 name);
  };
  const auto first = session("first"), second = session("second");
  ListenerTable table;
  table.add("127.0.0.1:80", first);
  EXPECT_EQ(table.owner_of("127.0.0.1:80"), first);
  table.add("127.0.0.1:80", second);
  table.remove("127.0.0.1:80", first);
  EXPECT_EQ(table.owner_of("127.0.0.1:80"), second);
  table.remove("127.0.0.1:80", second);
  EXPECT_EQ(table.owner_of("127.0.0.1:80"), nullptr);
}

}  // namespace
}  // namespace culvert::server

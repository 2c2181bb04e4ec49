// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/flow_key.hpp"

#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/udp_peer.hpp"

namespace culvert::relay {
namespace {

using testing::udp_at;

FlowKey key(const std::string& client, std::uint16_t port, const std::string& local = "0.0.0.0",
            std::uint16_t listener = 0) {
  return {udp_at(client, port), udp_at(local).address(), listener};
}

TEST(FlowKey, TellsApartWhateverDiffers) {
  const std::vector<FlowKey> all = {
      key("192.0.2.1", 1),
      key("192.0.2.1", 2),
      key("192.0.2.2", 1),
      key("192.0.2.1", 1, "127.0.0.1"),
      key("192.0.2.1", 1, "0.0.0.0", 1),
      key("2001:db8::1", 1, "::"),
      key("2001:db8::2", 1, "::"),
      key("2001:db8:0:1::1", 1, "::"),
      key("fe80::1%1", 1, "::"),
      key("fe80::1%2", 1, "::"),
      key("2001:db8::1", 1, "2001:db8::9"),
  };
  std::set<std::size_t> hashes;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < all.size(); ++j) EXPECT_EQ(all[i] == all[j], i == j) << i << " " << j;
    hashes.insert(FlowKeyHash({1, 2})(all[i]));
  }
  EXPECT_EQ(hashes.size(), all.size());
  EXPECT_EQ(key("192.0.2.1", 1), key("192.0.2.1", 1));
}

TEST(FlowKey, APlaceInATableDependsOnTheSecret) {
  const FlowKeyHash one({1, 2});
  const FlowKeyHash other({3, 4});
  std::set<std::size_t> places_of_one;
  std::set<std::size_t> places_of_other;
  for (unsigned port = 1; port < 65536; ++port) {
    const auto client = key("192.0.2.1", static_cast<std::uint16_t>(port));
    if (one(client) % 1024 != 0) continue;  // that a client might choose
    places_of_one.insert(one(client) % 1024);
    places_of_other.insert(other(client) % 1024);
  }
  EXPECT_EQ(places_of_one.size(), 1);
  EXPECT_GT(places_of_other.size(), 30) << "of about 62";
  const auto client = key("192.0.2.1", 1);
  EXPECT_NE(FlowKeyHash()(client), FlowKeyHash()(client)) << "each has a secret of its own";
}

}  // namespace
}  // namespace culvert::relay

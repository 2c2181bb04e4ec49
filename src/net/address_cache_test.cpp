// SPDX-License-Identifier: Apache-2.0
#include "net/address_cache.hpp"

#include <gtest/gtest.h>

namespace culvert::net {
namespace {

using namespace std::chrono_literals;
using Addresses = AddressCache::Addresses;

Addresses one(const char* text) { return {boost::asio::ip::make_address(text)}; }

constexpr Instant kStart{};

TEST(AddressCache, KnowsAnAnswerForItsLifetime) {
  AddressCache cache(2s);
  EXPECT_EQ(cache.find("db", Family::any, kStart), nullptr);
  cache.keep("db", Family::any, one("192.0.2.1"), kStart);
  ASSERT_NE(cache.find("db", Family::any, kStart + 1999ms), nullptr);
  EXPECT_EQ(*cache.find("db", Family::any, kStart + 1999ms), one("192.0.2.1"));
  EXPECT_EQ(cache.find("db", Family::any, kStart + 2s), nullptr);
  EXPECT_EQ(cache.find("db", Family::ipv4, kStart), nullptr);  // another question
  EXPECT_EQ(cache.find("web", Family::any, kStart), nullptr);
}

TEST(AddressCache, ANewAnswerTakesThePlaceOfTheOldOne) {
  AddressCache cache(2s);
  cache.keep("db", Family::any, one("192.0.2.1"), kStart);
  cache.keep("db", Family::any, one("192.0.2.2"), kStart + 1s);
  ASSERT_NE(cache.find("db", Family::any, kStart + 2500ms), nullptr);
  EXPECT_EQ(*cache.find("db", Family::any, kStart + 2500ms), one("192.0.2.2"));
  EXPECT_EQ(cache.size(), 1u);
}

TEST(AddressCache, TheOldestMakesRoom) {
  AddressCache cache(2s, 2);
  cache.keep("a", Family::any, one("192.0.2.1"), kStart);
  cache.keep("b", Family::any, one("192.0.2.2"), kStart);
  cache.keep("a", Family::any, one("192.0.2.3"), kStart);  // b is the oldest now
  cache.keep("c", Family::any, one("192.0.2.4"), kStart);
  EXPECT_NE(cache.find("a", Family::any, kStart), nullptr);
  EXPECT_EQ(cache.find("b", Family::any, kStart), nullptr);
  EXPECT_NE(cache.find("c", Family::any, kStart), nullptr);
}

TEST(AddressCache, WhatIsOldTakesNoRoom) {
  AddressCache cache(2s);
  for (int i = 0; i < 100; ++i) cache.keep(std::to_string(i), Family::any, one("192.0.2.1"), kStart);
  EXPECT_EQ(cache.size(), 100u);
  cache.keep("new", Family::any, one("192.0.2.1"), kStart + 2s);
  EXPECT_EQ(cache.size(), 1u);
}

TEST(AddressCache, KeepsNoLongAnswerAndWithoutALifetimeNone) {
  AddressCache cache(2s);
  cache.keep("db", Family::any, one("192.0.2.1"), kStart);
  const Addresses long_one(AddressCache::kMostAddresses + 1, boost::asio::ip::make_address("192.0.2.1"));
  cache.keep("db", Family::any, long_one, kStart);
  EXPECT_EQ(cache.find("db", Family::any, kStart), nullptr);
  AddressCache none(0s);
  none.keep("db", Family::any, one("192.0.2.1"), kStart);
  EXPECT_EQ(none.size(), 0u);
}

}  // namespace
}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#include "engine/proxy/name_cache.hpp"

#include <string>

#include <gtest/gtest.h>

#include "tests/support/udp_peer.hpp"

namespace culvert::proxy {
namespace {

using std::chrono::seconds;
using testing::udp_at;

constexpr Instant at(int second) { return Instant(seconds(second)); }

class NameCacheTest : public ::testing::Test {
 protected:
  NameCache::Answer find(const std::string& host, Instant now, const std::string& data = "x") {
    return cache_.find(host, 53, as_bytes(data), now, waits_);
  }
  std::size_t learn(const std::string& host, std::optional<boost::asio::ip::udp::endpoint> to, Instant now) {
    return cache_.learn({host, 53}, to, now).size();
  }

  NameCache cache_;
  bool waits_ = false;
};

TEST_F(NameCacheTest, TheFirstDatagramsWait) {
  auto answer = find("db", at(0));
  EXPECT_TRUE(answer.look_up);
  EXPECT_FALSE(answer.to);
  EXPECT_TRUE(waits_);
  EXPECT_FALSE(find("db", at(0)).look_up) << "once";
  EXPECT_TRUE(waits_);
  EXPECT_EQ(learn("db", udp_at("192.0.2.1", 53), at(1)), 2);
  answer = find("db", at(2));
  EXPECT_EQ(answer.to, udp_at("192.0.2.1", 53));
  EXPECT_FALSE(answer.look_up);
  EXPECT_FALSE(waits_);
  EXPECT_TRUE(cache_.find("db", 54, {}, at(2), waits_).look_up) << "rules may tell ports apart";
}

TEST_F(NameCacheTest, AnOldAnswerIsUsedUntilThereIsANewOne) {
  (void)find("db", at(0));
  (void)learn("db", udp_at("192.0.2.1", 53), at(0));
  EXPECT_FALSE(find("db", at(59)).look_up);
  const auto answer = find("db", at(60));
  EXPECT_TRUE(answer.look_up);
  EXPECT_TRUE(answer.to);
  EXPECT_EQ(learn("db", std::nullopt, at(60)), 0);
  EXPECT_TRUE(find("db", at(61)).to) << "better than none";
  EXPECT_FALSE(find("db", at(61)).look_up);
  EXPECT_TRUE(find("db", at(65)).look_up);
  (void)learn("db", udp_at("192.0.2.2", 53), at(65));
  EXPECT_EQ(find("db", at(66)).to, udp_at("192.0.2.2", 53));
}

TEST_F(NameCacheTest, AnUnknownNameIsAskedForNowAndThen) {
  (void)find("db", at(0));
  EXPECT_EQ(learn("db", std::nullopt, at(0)), 1);
  const auto answer = find("db", at(4));
  EXPECT_FALSE(answer.to);
  EXPECT_FALSE(answer.look_up);
  EXPECT_FALSE(waits_) << "for nothing";
  EXPECT_TRUE(find("db", at(5)).look_up);
}

TEST_F(NameCacheTest, WhatWaitsIsBounded) {
  for (std::size_t i = 0; i < NameCache::kWaitingDatagrams; ++i) {
    (void)find("db", at(0));
    EXPECT_TRUE(waits_);
  }
  (void)find("db", at(0));
  EXPECT_FALSE(waits_);
  EXPECT_EQ(learn("db", std::nullopt, at(0)), NameCache::kWaitingDatagrams);
  (void)find("other", at(0), std::string(NameCache::kWaitingBytes, 'x'));
  EXPECT_TRUE(waits_) << "there is room again";
  (void)find("other", at(0));
  EXPECT_FALSE(waits_);
}

TEST_F(NameCacheTest, LookUpsAndNamesAreBounded) {
  for (std::size_t i = 0; i < NameCache::kLookUps; ++i)
    EXPECT_TRUE(find("busy" + std::to_string(i), at(0)).look_up);
  EXPECT_FALSE(find("more", at(0)).look_up);
  EXPECT_FALSE(waits_);
  for (std::size_t i = 0; i < NameCache::kNames; ++i) (void)find("name" + std::to_string(i), at(1));
  EXPECT_EQ(learn("busy0", udp_at("192.0.2.1", 53), at(2)), 0) << "made room for others, what waited too";
  EXPECT_TRUE(find("more", at(2)).look_up);
  EXPECT_TRUE(waits_);
}

}  // namespace
}  // namespace culvert::proxy

// SPDX-License-Identifier: Apache-2.0
#include "engine/server/place.hpp"

#include <atomic>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/test_keys.hpp"

namespace culvert::server {
namespace {

class PlaceTest : public ::testing::Test {
 protected:
  /// Of one user, with one key or another.
  std::shared_ptr<Permit> permit(const std::shared_ptr<Usage>& of_key) const {
    return std::make_shared<Permit>(Permit{.user = "alice",
                                           .fingerprint = "SHA256:x",
                                           .key_name = {},
                                           .grants = {},
                                           .of_user = user_,
                                           .of_key = of_key,
                                           .account = "alice",
                                           .key = test::user_key().public_key(),
                                           .options = {}});
  }
  static std::string why(const Result<Place>& place) { return place ? "" : place.error().message; }

  const std::shared_ptr<Usage> user_ = std::make_shared<Usage>();
  const std::shared_ptr<Usage> key_ = std::make_shared<Usage>(), other_ = std::make_shared<Usage>();
  Count all_;
};

TEST_F(PlaceTest, CountsOfUserAndKeyUntilItIsDestroyed) {
  {
    const auto stream = Place::of_stream(permit(key_));
    const auto listener = Place::of_listener(permit(key_));
    const auto session = Place::of_session(permit(other_), all_, 10);
    ASSERT_TRUE(stream && listener && session);
    EXPECT_EQ(user_->streams.now(), 1u);
    EXPECT_EQ(key_->streams.now(), 1u);
    EXPECT_EQ(key_->listeners.now(), 1u);
    EXPECT_EQ(user_->sessions.now(), 1u);
    EXPECT_EQ(other_->sessions.now(), 1u);
    EXPECT_EQ(key_->sessions.now(), 0u);
    EXPECT_EQ(all_.now(), 1u);
  }
  for (const auto& usage : {user_, key_, other_}) {
    EXPECT_EQ(usage->sessions.now() + usage->streams.now() + usage->listeners.now(), 0u);
  }
  EXPECT_EQ(all_.now(), 0u);
}

// What one of the two has room for and the other has not is not counted.
TEST_F(PlaceTest, BothNeedRoom) {
  const auto of_key = permit(key_);
  of_key->grants.key_limits.max_streams = 1;
  const auto first = Place::of_stream(of_key);
  EXPECT_EQ(why(Place::of_stream(of_key)), "max_streams is reached");
  EXPECT_EQ(user_->streams.now(), 1u);
  const auto of_other = permit(other_);
  of_other->grants.user_limits.max_streams = 1;
  EXPECT_EQ(why(Place::of_stream(of_other)), "max_streams is reached");
  EXPECT_EQ(other_->streams.now(), 0u);
}

TEST_F(PlaceTest, ListenersHaveALimitWithoutARule) {
  std::vector<Result<Place>> listeners;
  for (int i = 0; i < 256; ++i) {
    listeners.push_back(Place::of_listener(permit(key_)));
    ASSERT_TRUE(listeners.back());
  }
  EXPECT_EQ(why(Place::of_listener(permit(key_))), "max_listeners is reached");
}

TEST_F(PlaceTest, TheLastTenthOfTheSessionsIsForKeysThatHaveNone) {
  std::vector<Result<Place>> sessions;
  for (int i = 0; i < 9; ++i) {
    sessions.push_back(Place::of_session(permit(key_), all_, 10));
    ASSERT_TRUE(sessions.back());
  }
  EXPECT_EQ(why(Place::of_session(permit(key_), all_, 10)),
            "the last tenth of --max-sessions is for keys that have no session yet");
  EXPECT_EQ(all_.now(), 9u);
  const auto last = Place::of_session(permit(other_), all_, 10);
  EXPECT_TRUE(last);
  EXPECT_EQ(why(Place::of_session(permit(std::make_shared<Usage>()), all_, 10)),
            "there are too many sessions (--max-sessions)");
}

TEST_F(PlaceTest, NotWhenTheQuotaIsUsedUp) {
  const auto used_up = permit(key_);
  used_up->grants.key_limits.quota = 100;
  key_->bytes = 100;
  EXPECT_EQ(why(Place::of_stream(used_up)), "the quota is used up");
  EXPECT_EQ(why(Place::of_listener(used_up)), "the quota is used up");
}

TEST_F(PlaceTest, ThreadsGetNoMoreThanThereAre) {
  std::latch all_run(4);
  std::atomic<int> inside = 0, got = 0, too_many = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const auto mine = permit(key_);
      mine->grants.user_limits.max_streams = 1;
      all_run.arrive_and_wait();
      for (int round = 0; round < 500'000; ++round) {
        const auto place = Place::of_stream(mine);
        if (!place) continue;
        ++got;
        if (++inside > 1) ++too_many;
        --inside;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(got, 0);
  EXPECT_EQ(too_many, 0);
  EXPECT_EQ(user_->streams.now() + key_->streams.now(), 0u);
}

}  // namespace
}  // namespace culvert::server

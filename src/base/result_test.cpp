// SPDX-License-Identifier: Apache-2.0
#include "base/result.hpp"

#include <cerrno>

#include <gtest/gtest.h>

namespace culvert {
namespace {

Result<int> half(int number) {
  if (number % 2 != 0) return fail(Errc::malformed, "odd");
  return number / 2;
}
Result<int> quarter(int number) { return TRY(half(TRY(half(number)))); }

TEST(Try, TakesTheValueOrLeavesWithTheError) {
  EXPECT_EQ(*quarter(12), 3);
  EXPECT_EQ(quarter(6).error().message, "odd");
}

TEST(FailErrno, NamesTheCauseAndKeepsTheNumber) {
  const Result<void> result = fail_errno("cannot open x", ENOENT);
  EXPECT_EQ(result.error().code, Errc::system);
  EXPECT_EQ(result.error().message, "cannot open x: No such file or directory");
  EXPECT_EQ(result.error().detail, ENOENT);
}

}  // namespace
}  // namespace culvert

// SPDX-License-Identifier: Apache-2.0
#include "base/secret.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(SecretBytes, MoveLeavesTheSourceEmpty) {
  SecretBytes a(std::string_view("hunter2"));
  SecretBytes b = std::move(a);
  EXPECT_EQ(b.text(), "hunter2");
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move)
  const SecretBytes c = b.clone();
  EXPECT_EQ(c.text(), b.text());
}

TEST(SecretBytes, IsOverwrittenWhenReplaced) {
  SecretBytes secret(std::string_view("first secret that is long enough"));
  const std::uint8_t* memory = secret.data();
  wipe(secret.mutable_view());
  for (std::size_t i = 0; i < secret.size(); ++i) EXPECT_EQ(memory[i], 0);
}

TEST(EqualInConstantTime, Compares) {
  EXPECT_TRUE(equal_in_constant_time(as_bytes("same"), as_bytes("same")));
  EXPECT_FALSE(equal_in_constant_time(as_bytes("same"), as_bytes("sane")));
  EXPECT_FALSE(equal_in_constant_time(as_bytes("same"), as_bytes("longer")));
  EXPECT_TRUE(equal_in_constant_time({}, {}));
}

}  // namespace
}  // namespace culvert

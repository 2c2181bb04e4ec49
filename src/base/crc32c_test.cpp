// SPDX-License-Identifier: Apache-2.0
#include "base/crc32c.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(Crc32c, IsThatOfRfc3720) {  // appendix B.4
  EXPECT_EQ(crc32c({Bytes(32)}), 0x8A9136AAu);
  EXPECT_EQ(crc32c({Bytes(32, 0xFF)}), 0x62A8AB43u);
  EXPECT_EQ(crc32c({as_bytes("123456789")}), 0xE3069283u);
  EXPECT_EQ(crc32c({as_bytes("1234"), {}, as_bytes("56789")}), 0xE3069283u);
  EXPECT_EQ(crc32c({}), 0u);
}

}  // namespace
}  // namespace culvert

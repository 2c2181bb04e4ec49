// SPDX-License-Identifier: Apache-2.0
#include "base/wire.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(Reader, TakesWhatTheWriterWrote) {
  Bytes bytes;
  Writer(bytes)
      .byte(7)
      .boolean(true)
      .u16(0x0908)
      .u32(0x01020304)
      .u64(0x0102030405060708)
      .text("name")
      .bytes(Bytes{9, 9});
  Reader reader(bytes);
  EXPECT_EQ(*reader.byte(), 7);
  EXPECT_TRUE(*reader.boolean());
  EXPECT_EQ(*reader.u16(), 0x0908);
  EXPECT_EQ(*reader.u32(), 0x01020304u);
  EXPECT_EQ(*reader.u64(), 0x0102030405060708u);
  EXPECT_EQ(*reader.text(), "name");
  EXPECT_FALSE(reader.end());
  EXPECT_EQ(reader.rest().size(), 2u);
  EXPECT_TRUE(reader.end());
}

TEST(Reader, TakesNothingIfTheValueIsNotAllThere) {
  const Bytes bytes = {0, 0, 0, 5, 'a', 'b'};
  Reader reader(bytes);
  EXPECT_EQ(reader.string().error().code, Errc::malformed);
  EXPECT_EQ(reader.remaining(), bytes.size());
  EXPECT_FALSE(reader.u64());
  EXPECT_EQ(reader.remaining(), bytes.size());
  EXPECT_FALSE(reader.bytes(7));
  EXPECT_EQ(reader.bytes(6)->size(), 6u);
  EXPECT_FALSE(reader.byte());
}

TEST(Reader, BelievesNoLength) {
  const Bytes bytes = {0xFF, 0xFF, 0xFF, 0xFF, 1};
  EXPECT_FALSE(Reader(bytes).string());
  EXPECT_FALSE(Reader(bytes).mpint());
}

TEST(Mpint, FollowsTheExamplesOfRfc4251) {
  const auto encode = [](Bytes magnitude) {
    Bytes out;
    Writer(out).mpint(magnitude);
    return out;
  };
  EXPECT_EQ(encode({}), (Bytes{0, 0, 0, 0}));
  EXPECT_EQ(encode({0x09, 0xA3, 0x78, 0xF9, 0xB2, 0xE3, 0x32, 0xA7}),
            (Bytes{0, 0, 0, 8, 0x09, 0xA3, 0x78, 0xF9, 0xB2, 0xE3, 0x32, 0xA7}));
  EXPECT_EQ(encode({0x80}), (Bytes{0, 0, 0, 2, 0x00, 0x80}));
  EXPECT_EQ(encode({0x00, 0x00, 0x7F}), (Bytes{0, 0, 0, 1, 0x7F}));
}

TEST(Mpint, RefusesNegativeAndHugeNumbers) {
  EXPECT_FALSE(Reader(Bytes{0, 0, 0, 2, 0xED, 0xCC}).mpint());
  Bytes huge;
  Writer(huge).string(Bytes(2049, 0x7F));
  EXPECT_FALSE(Reader(huge).mpint());
  Bytes padded;  // many leading zeros are only padding
  Writer(padded).string(Bytes{0, 0, 0x12});
  Reader reader(padded);
  EXPECT_EQ(reader.mpint()->size(), 1u);
}

}  // namespace
}  // namespace culvert

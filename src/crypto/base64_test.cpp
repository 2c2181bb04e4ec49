// SPDX-License-Identifier: Apache-2.0
#include "crypto/base64.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace culvert::crypto {
namespace {

// RFC 4648 section 10.
constexpr std::pair<std::string_view, std::string_view> kPlainAndText[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

TEST(Base64, KnownVectors) {
  for (const auto& [plain, text] : kPlainAndText) {
    EXPECT_EQ(base64_encode(as_bytes(plain)), text);
    const auto decoded = base64_decode(text);
    ASSERT_TRUE(decoded) << text;
    EXPECT_EQ(as_text(*decoded), plain);
  }
}

TEST(Base64, EveryByteAndLengthComesBack) {
  Bytes bytes;
  for (unsigned i = 0; i < 300; ++i) {
    const auto decoded = base64_decode(base64_encode(bytes));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(*decoded, bytes);
    bytes.push_back(static_cast<std::uint8_t>(i * 7));
  }
}

TEST(Base64, RefusesWhatIsNotStrict) {
  for (const std::string_view text :
       {"Z", "Zg", "Zg=", "Zg===", "=", "==", "====", "Zm9v=", "Zm9vZ===", "Zg==Zg==", "Z=g=", "Zm 9",
        "Zm9v\n", " Zm9", "Zm-_", "Zh==", "Zm9=", "Zm9\x80"}) {
    const auto decoded = base64_decode(text);
    ASSERT_FALSE(decoded) << text;
    EXPECT_EQ(decoded.error().code, Errc::malformed);
  }
}

}  // namespace
}  // namespace culvert::crypto

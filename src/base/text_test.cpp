// SPDX-License-Identifier: Apache-2.0
#include "base/text.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(Printable, LeavesPlainTextAndUtf8Alone) {
  EXPECT_EQ(printable("Connection refused"), "Connection refused");
  EXPECT_EQ(printable("größer ✓ 🚇"), "größer ✓ 🚇");
}

TEST(Printable, EscapesWhatCouldSteerATerminal) {
  EXPECT_EQ(printable("\x1b[2Jok\r\n"), "\\x1b[2Jok\\x0d\\x0a");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\x7f"), "\\x7f");
  EXPECT_EQ(printable("back\\slash"), "back\\\\slash");
  EXPECT_EQ(printable("\xC2\x9B"
                      "31m"),
            "\\xc2\\x9b31m");  // C1 control: CSI in one character
  EXPECT_EQ(printable("\xE2\x80\xAE"
                      "gnp"),
            "\\xe2\\x80\\xaegnp");  // right-to-left override
}

TEST(Printable, EscapesWhatIsNotUtf8) {
  EXPECT_EQ(printable("\xFF\xFE"), "\\xff\\xfe");
  EXPECT_EQ(printable("\xC0\xAF"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(printable("\xED\xA0\x80"), "\\xed\\xa0\\x80");           // surrogate
  EXPECT_EQ(printable("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
  EXPECT_EQ(printable("\xE2\x82"), "\\xe2\\x82");                    // cut off
}

TEST(Printable, CutsWhatIsTooLong) {
  EXPECT_EQ(printable(std::string(100, 'x'), 10), std::string(10, 'x') + "...");
  EXPECT_EQ(printable(std::string(10, 'x'), 10), std::string(10, 'x'));
}

TEST(IsPrintable, SaysWhetherThereIsSomethingToEscape) {
  EXPECT_TRUE(is_printable(""));
  EXPECT_TRUE(is_printable("größer ✓ 🚇 C:\\"));
  for (const std::string_view text : {"\x1b", "a\n", "\x7f", "a\xFF", "\xE2\x82", "\xC0\xAF", "\xE2\x80\xAE"})
    EXPECT_FALSE(is_printable(text)) << printable(text);
}

TEST(Text, TakesWordsAndBlanks) {
  EXPECT_EQ(trimmed(" \ta b\t "), "a b");
  EXPECT_EQ(trimmed(" \t"), "");
  EXPECT_EQ(trimmed("\r\na\n", "\r\n"), "a");
  std::string_view rest = "  one\ttwo ";
  EXPECT_EQ(next_word(rest), "one");
  EXPECT_EQ(next_word(rest), "two");
  EXPECT_EQ(next_word(rest), "");
  EXPECT_EQ(next_word(rest), "");
  EXPECT_TRUE(rest.empty());
}

TEST(Text, PutsWhatHasColonsInBrackets) {
  EXPECT_EQ(with_port("db", 80), "db:80");
  EXPECT_EQ(with_port("192.0.2.1", 0), "192.0.2.1:0");
  EXPECT_EQ(with_port("2001:db8::1", 65535), "[2001:db8::1]:65535");
}

TEST(Text, ComparesIgnoringCase) {
  EXPECT_TRUE(equal_ignoring_case("", ""));
  EXPECT_TRUE(equal_ignoring_case("Yes", "yES"));
  EXPECT_FALSE(equal_ignoring_case("yes", "yes "));
  EXPECT_FALSE(equal_ignoring_case("\xC3\xA4", "\xC3\x84"));  // ASCII alone
}

}  // namespace
}  // namespace culvert

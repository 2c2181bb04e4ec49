// SPDX-License-Identifier: Apache-2.0
#include "cli/values.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace culvert::cli {
namespace {

using namespace std::chrono_literals;

TEST(Values, TimesAreReadAsSshDoes) {
  struct Row {
    std::string_view text;
    Duration time;
  };
  for (const Row& row : {Row{"0", 0s}, Row{"90", 90s}, Row{"90s", 90s}, Row{"1m", 60s}, Row{"1h30m", 90min},
                         Row{"1H30M", 90min}, Row{"2d", 48h}, Row{"1w2d3h4m5", 219h + 4min + 5s},
                         Row{"2147483647", 2147483647s}}) {
    const auto time = parse_time(row.text);
    ASSERT_TRUE(time) << row.text;
    EXPECT_EQ(*time, row.time) << row.text;
  }
  for (const std::string_view text :
       {"", "s", "-1", "+1", "1x", "1 h", "1.5h", "2147483648", "99999999999999999999", "4000w", "0x10"}) {
    EXPECT_FALSE(parse_time(text)) << text;
  }
  EXPECT_EQ(parse_time("1x").error().message, "\"1x\" is not a time (seconds, or like 90s, 1h30m, 2d)");
}

TEST(Values, SizesTakePowersOf1024) {
  struct Row {
    std::string_view text;
    std::uint64_t size;
  };
  for (const Row& row :
       {Row{"0", 0}, Row{"1000", 1000}, Row{"1k", 1024}, Row{"512K", 512 << 10}, Row{"64M", 64 << 20},
        Row{"1G", 1 << 30}, Row{"9223372036854775807", std::numeric_limits<std::int64_t>::max()}}) {
    const auto size = parse_size(row.text);
    ASSERT_TRUE(size) << row.text;
    EXPECT_EQ(*size, row.size) << row.text;
  }
  for (const std::string_view text :
       {"", "K", "-1", "1T", "1KB", "1.5G", "9223372036854775808", "8589934592G"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
}

TEST(Values, PortsAreNumbersOrServices) {
  EXPECT_EQ(parse_port("1"), 1);
  EXPECT_EQ(parse_port("65535"), 65535);
  EXPECT_EQ(parse_port("0", true), 0);
  EXPECT_EQ(parse_port("ssh"), 22);
  for (const std::string_view text :
       {"", "0", "65536", "-1", "+80", " 80", "80 ", "8o", "no-such-service-at-all", "-p"}) {
    EXPECT_FALSE(parse_port(text)) << text;
  }
  EXPECT_EQ(parse_port("70000").error().message, "\"70000\" is not a port (1 to 65535, or a service's name)");
  EXPECT_EQ(parse_port("a\nb").error().message,
            "\"a\\x0ab\" is not a port (1 to 65535, or a service's name)");
}

TEST(Values, FlagsAreYesAndNo) {
  for (const std::string_view text : {"yes", "YES", "true", "True"})
    EXPECT_EQ(parse_flag(text), true) << text;
  for (const std::string_view text : {"no", "No", "false"}) EXPECT_EQ(parse_flag(text), false) << text;
  for (const std::string_view text : {"", "y", "1", "on", "yes "}) EXPECT_FALSE(parse_flag(text)) << text;
}

TEST(Values, NumbersHaveBounds) {
  EXPECT_EQ(parse_number("3", 1, 5), 3u);
  EXPECT_EQ(parse_number("6", 1, 5).error().message, "\"6\" is not a number from 1 to 5");
  EXPECT_FALSE(parse_number("18446744073709551616", 0, std::numeric_limits<std::uint64_t>::max()));
}

TEST(Values, PermissionsAreOctal) {
  EXPECT_EQ(parse_permissions("0660").value_or(0), 0660u);
  EXPECT_EQ(parse_permissions("117").value_or(0), 0117u);
  EXPECT_EQ(parse_permissions("0").value_or(1), 0u);
  EXPECT_EQ(parse_permissions("777").value_or(0), 0777u);
  for (const std::string_view text : {"", "8", "1000", "0x1", "-1", "u=rw", "77777777777777777777777"})
    EXPECT_FALSE(parse_permissions(text)) << text;
}

TEST(Values, VersionsOfTheProxyProtocol) {
  EXPECT_EQ(parse_proxy_version("v1"), relay::ProxyHeaderVersion::v1);
  EXPECT_EQ(parse_proxy_version("v2"), relay::ProxyHeaderVersion::v2);
  EXPECT_EQ(parse_proxy_version("v3").error().message,
            "\"v3\" is not a version of the PROXY protocol (v1 or v2)");
  EXPECT_FALSE(parse_proxy_version(""));
}

}  // namespace
}  // namespace culvert::cli

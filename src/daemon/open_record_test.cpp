// SPDX-License-Identifier: Apache-2.0
#include "daemon/open_record.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/temp_dir.hpp"

namespace culvert::daemon {
namespace {

const OpenPortRecord kPort = {"tcp", "203.0.113.5:8080", 8080, "192.168.1.20:8080", "192.168.1.1", "PCP",
                              1000};

TEST(OpenRecord, IsReadAsItWasWritten) {
  const std::vector<OpenPortRecord> ports = {
      kPort, {"udp", "[2001:db8::1]:53", 53, "[2001:db8::1]:53", "fe80::1", "UPnP", 0}};
  EXPECT_EQ(decode_open_record(encode_open_record(ports)), ports);
}

TEST(OpenRecord, KeepsTheNonce) {
  OpenPortRecord port = kPort;
  port.nonce = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255};
  EXPECT_EQ(decode_open_record(encode_open_record(std::span(&port, 1))), std::vector{port});
}

TEST(OpenRecord, OthersAreMalformed) {
  for (
      const char* text :
      {"", "{}", "[1]", "[{}]", R"([{"protocol":"tcp"}])",
       R"([{"protocol":"t\u001b","outside":"a","port":1,"inside":"a","router":"a","by":"a","until":1}])",
       R"([{"protocol":"tcp","outside":"a","port":1,"inside":"a","router":"a","by":"a","until":1,"nonce":"AAAA"}])",
       R"([{"protocol":"tcp","outside":"a","port":0,"inside":"a","router":"a","by":"a","until":1}])"}) {
    EXPECT_FALSE(decode_open_record(text)) << text;
  }
}

TEST(OpenRecord, IsThereAsLongAsItsProcess) {
  const testing::TempDir folder;
  const std::string path = folder.path().string() + "/open";
  {
    auto file = OpenRecordFile::create(path);
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE(file->write(std::vector{kPort}));
    const auto records = read_open_records(path, 5000);
    ASSERT_EQ(records.size(), 1U);
    EXPECT_TRUE(records[0].is_running);
    EXPECT_EQ(records[0].pid, ::getpid());
    EXPECT_EQ(records[0].ports, std::vector{kPort});
  }
  EXPECT_TRUE(read_open_records(path, 5000).empty());
}

TEST(OpenRecord, IsWrittenAnewWithLess) {
  const testing::TempDir folder;
  auto file = OpenRecordFile::create(folder.path().string());
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->write(std::vector{kPort, kPort}));
  ASSERT_TRUE(file->write(std::vector{kPort}));
  const auto records = read_open_records(folder.path().string(), 0);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].ports, std::vector{kPort});
}

TEST(OpenRecord, WhatSomebodyElseKeepsNowIsNotLeftBehind) {
  const testing::TempDir folder;
  OpenPortRecord port = kPort;
  port.until = 0;
  OpenPortRecord other = port;
  other.port = 8081;
  std::ofstream(folder.path().string() + "/77.json") << encode_open_record(std::vector{port, other});
  std::ofstream(folder.path().string() + "/78.json") << encode_open_record(std::vector{port});
  auto records = OpenRecords::take(folder.path().string());
  ASSERT_TRUE(records.own);
  ASSERT_TRUE(records.own->write(std::vector{port}));
  for (LeftOpenFile& left : records.left) left.forget(std::vector{port});
  auto found = read_open_records(folder.path().string(), 0);
  ASSERT_EQ(found.size(), 2U);
  std::ranges::sort(found, {}, &OpenRecord::is_running);  // a folder has no order
  EXPECT_EQ(found[0].ports, std::vector{other});
  EXPECT_FALSE(found[0].is_running);
  EXPECT_TRUE(found[1].is_running);
}

TEST(OpenRecord, WhatOneOfTheSameNumberLeftIsKept) {
  const testing::TempDir folder;
  OpenPortRecord port = kPort;
  port.until = 0;
  OpenPortRecord other = port;
  other.port = 8081;
  std::ofstream(fmt::format("{}/{}.json", folder.path().string(), ::getpid()))
      << encode_open_record(std::vector{port, other});
  auto records = OpenRecords::take(folder.path().string());
  ASSERT_TRUE(records.own);
  ASSERT_EQ(records.left.size(), 1U);
  ASSERT_TRUE(records.own->write(std::vector{port}));
  records.left[0].forget(std::vector{port});
  auto found = read_open_records(folder.path().string(), 0);
  ASSERT_EQ(found.size(), 2U);
  std::ranges::sort(found, {}, &OpenRecord::is_running);
  EXPECT_EQ(found[0].ports, std::vector{other});
  EXPECT_EQ(found[1].ports, std::vector{port});
}

TEST(OpenRecord, WhatAKilledOneLeftGoesWithItsTime) {
  const testing::TempDir folder;
  const std::string file = folder.path().string() + "/77.json";
  std::ofstream(file) << encode_open_record(std::vector{kPort});
  const auto records = read_open_records(folder.path().string(), 999);
  ASSERT_EQ(records.size(), 1U);
  EXPECT_FALSE(records[0].is_running);
  EXPECT_TRUE(read_open_records(folder.path().string(), 1000).empty());
  EXPECT_NE(::access(file.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace culvert::daemon

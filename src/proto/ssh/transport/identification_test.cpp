// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/transport/identification.hpp"

#include <gtest/gtest.h>

namespace culvert::ssh {
namespace {

struct Outcome {
  std::optional<std::string> line;
  std::string error;
  std::string left;  // bytes behind what was taken
};

// Feeds `text` in pieces, as a transport does: what is taken is gone, the rest comes again with more.
Outcome feed(bool lines_before, std::string_view text, std::size_t piece = SIZE_MAX) {
  IdentificationReader reader(lines_before);
  std::string pending;
  while (!text.empty()) {
    const std::size_t size = std::min(piece, text.size());
    pending += text.substr(0, size);
    text.remove_prefix(size);
    const auto found = reader.read(as_bytes(pending));
    if (!found) return {std::nullopt, found.error().message, {}};
    pending.erase(0, found->taken);
    if (found->line) return {found->line, {}, pending + std::string(text)};
  }
  return {std::nullopt, {}, pending};
}

// The same whether bytes come together, in odd pieces or one at a time.
Outcome feed_all_ways(bool lines_before, std::string_view text) {
  const Outcome whole = feed(lines_before, text);
  for (const std::size_t piece : {1, 2, 3, 7, 100}) {
    const Outcome other = feed(lines_before, text, piece);
    EXPECT_EQ(other.line, whole.line) << text << " in pieces of " << piece;
    EXPECT_EQ(other.error.empty(), whole.error.empty()) << text << " in pieces of " << piece;
    if (whole.line) EXPECT_EQ(other.left, whole.left);
  }
  return whole;
}

TEST(Identification, TakesTheLineAndNoMore) {
  const Outcome found = feed_all_ways(true,
                                      "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\0\0\1"
                                      "4");
  EXPECT_EQ(found.line, "SSH-2.0-OpenSSH_9.2p1 Debian-2");
  EXPECT_EQ(feed_all_ways(true, "SSH-2.0-x\nrest").line, "SSH-2.0-x");
  EXPECT_EQ(feed_all_ways(true, "SSH-2.0-x\nrest").left, "rest");
  EXPECT_EQ(feed_all_ways(false, "SSH-2.0-x\r\nrest").left, "rest");
  EXPECT_EQ(feed_all_ways(true, "SSH-2.0-\r\n").line, "SSH-2.0-");
}

TEST(Identification, OtherVersions) {
  EXPECT_EQ(feed_all_ways(true, "SSH-1.99-Cisco-1.25\r\n").line, "SSH-1.99-Cisco-1.25");
  for (const std::string_view line : {"SSH-1.5-old\r\n", "SSH-2.1-new\r\n", "SSH-3.0-x\n", "SSH-\n",
                                      "SSH-2.0\n", "SSH-2.00-x\n", "SSH-1.9-x\n"}) {
    EXPECT_NE(feed_all_ways(true, line).error.find("another version"), std::string::npos) << line;
  }
}

TEST(Identification, LinesBeforeItAreTheServersRight) {
  const std::string_view text = "Hello\r\n\r\nssh-2.0-small\r\n SSH-2.0-indented\nSSH-2.0-real\r\nrest";
  const Outcome found = feed_all_ways(true, text);
  EXPECT_EQ(found.line, "SSH-2.0-real");
  EXPECT_EQ(found.left, "rest");
  for (const std::string_view client :
       {"Hello\r\nSSH-2.0-x\r\n", "\r\nSSH-2.0-x\r\n", "a\nSSH-2.0-x\n", "\n"})
    EXPECT_NE(feed_all_ways(false, client).error.find("does not speak SSH"), std::string::npos) << client;
}

TEST(Identification, WaitsForMore) {
  for (const std::string_view text : {"", "S", "SSH-", "SSH-2.0-x", "SSH-2.0-x\r", "some line"}) {
    const Outcome found = feed_all_ways(true, text);
    EXPECT_FALSE(found.line || !found.error.empty()) << text;
  }
  EXPECT_FALSE(feed(false, "SSH").line);
  EXPECT_TRUE(feed(false, "SSH").error.empty());
  EXPECT_FALSE(feed(false, "SSX-").error.empty());  // enough to tell
}

TEST(Identification, LengthLimits) {
  const auto line = [](std::size_t size) { return "SSH-2.0-" + std::string(size - 8 - 2, 'x') + "\r\n"; };
  EXPECT_TRUE(feed_all_ways(true, line(255)).line);
  EXPECT_FALSE(feed_all_ways(true, line(256)).line);
  EXPECT_NE(feed_all_ways(true, line(257)).error.find("255"), std::string::npos);
  EXPECT_FALSE(
      feed(true, std::string("SSH-2.0-") + std::string(300, 'x')).error.empty());  // no newline at all

  EXPECT_EQ(feed(true, std::string(8191, 'x') + "\nSSH-2.0-x\n").line, "SSH-2.0-x");
  EXPECT_FALSE(feed(true, std::string(8192, 'x')).error.empty());
  EXPECT_TRUE(feed(true, std::string(8191, 'x')).error.empty());
}

TEST(Identification, TotalBeforeItIsBounded) {
  std::string lines;
  while (lines.size() < 65536 - 100) lines += std::string(99, 'x') + "\n";
  EXPECT_TRUE(feed(true, lines + "SSH-2.0-x\n").line);
  for (int i = 0; i < 2; ++i) lines += std::string(99, 'x') + "\n";
  EXPECT_NE(feed(true, lines, 1000).error.find("is this an SSH server?"), std::string::npos);
}

TEST(Identification, NulByte) {
  using namespace std::string_view_literals;
  EXPECT_NE(feed_all_ways(true, "SSH-2.0-a\0b\r\n"sv).error.find("NUL"), std::string::npos);
  EXPECT_NE(feed_all_ways(true, "line\0\r\nSSH-2.0-x\r\n"sv).error.find("NUL"), std::string::npos);
}

TEST(Identification, WhatAClientSentIsShownHarmlessly) {
  EXPECT_NE(feed(false, "\x1b]0;title\x07\n").error.find("\\x1b]0;title\\x07"), std::string::npos);
}

}  // namespace
}  // namespace culvert::ssh

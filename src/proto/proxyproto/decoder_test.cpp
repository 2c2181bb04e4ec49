// SPDX-License-Identifier: Apache-2.0
#include "proto/proxyproto/decoder.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

namespace culvert::proxyproto {
namespace {

using namespace std::string_literals;
using State = Decoder::State;

const std::string kStart = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string kInet = "\xcb\x00\x71\x09\xc0\x00\x02\x01\x9c\x40\x01\xbb"s;  // 203.0.113.9, 192.0.2.1

struct Outcome {
  State state;
  std::size_t taken;
  Header header;
  std::string why;
  bool operator==(const Outcome&) const = default;
};

Outcome decode_in(std::string_view bytes, std::size_t piece) {
  Decoder decoder;
  std::size_t taken = 0;
  while (taken < bytes.size() && decoder.state() == State::reading)
    taken += decoder.feed(as_bytes(bytes.substr(taken, piece)));
  EXPECT_TRUE(decoder.state() == State::reading || decoder.feed(as_bytes("more")) == 0);
  return {decoder.state(), taken, decoder.header(), std::string(decoder.why())};
}

Outcome decode(std::string_view bytes) {
  const Outcome whole = decode_in(bytes, bytes.size());
  for (const std::size_t piece : {1, 2, 13}) EXPECT_TRUE(decode_in(bytes, piece) == whole);
  return whole;
}

InetAddresses inet(std::string_view source, std::uint16_t source_port, std::string_view destination,
                   std::uint16_t destination_port) {
  return {*IpAddress::parse(source), source_port, *IpAddress::parse(destination), destination_port};
}

void expect_addresses(const std::string& header, const InetAddresses& addresses) {
  const Outcome outcome = decode(header + "GET / HTTP/1.1\r\n");
  EXPECT_EQ(outcome.why, "");
  EXPECT_EQ(outcome.state, State::done);
  EXPECT_EQ(outcome.taken, header.size());
  EXPECT_EQ(outcome.header.command, Header::Command::proxy);
  ASSERT_TRUE(std::holds_alternative<InetAddresses>(outcome.header.addresses));
  EXPECT_TRUE(std::get<InetAddresses>(outcome.header.addresses) == addresses);
}

void expect_none(const std::string& header, Header::Command command) {
  const Outcome outcome = decode(header + "PROXY more");
  EXPECT_EQ(outcome.why, "");
  EXPECT_EQ(outcome.state, State::done);
  EXPECT_EQ(outcome.taken, header.size());
  EXPECT_EQ(outcome.header.command, command);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(outcome.header.addresses));
}

std::string v2(std::string_view command_and_family, const std::string& rest) {
  return kStart + std::string(command_and_family) + static_cast<char>(rest.size() >> 8) +
         static_cast<char>(rest.size()) + rest;
}

TEST(ProxyDecoder, Version1) {
  expect_addresses("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
                   inet("192.168.0.1", 56324, "192.168.0.11", 443));
  expect_addresses("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0\r\n",
                   inet("255.255.255.255", 65535, "0.0.0.0", 0));
  const std::string most = "FFFF:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  expect_addresses("PROXY TCP6 " + most + " ::1 1 2\r\n", inet(most, 1, "::1", 2));
  expect_none("PROXY UNKNOWN\r\n", Header::Command::proxy);
  const std::string longest = "PROXY UNKNOWN " + most + " " + most + " 65535 65535\r\n";
  EXPECT_EQ(longest.size(), kMostV1);
  expect_none(longest, Header::Command::proxy);
}

TEST(ProxyDecoder, Version1IsStrict) {
  for (const std::string line : {"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\n",
                                 "PROXY TCP4 192.168.0.1  192.168.0.11 56324 443\r\n",
                                 "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 \r\n",
                                 "PROXY TCP4 192.168.0.1 192.168.0.11 56324\r\n",
                                 "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 1\r\n",
                                 "PROXY TCP4 192.168.0.1 192.168.0.11 056 443\r\n",
                                 "PROXY TCP4 192.168.0.1 192.168.0.11 65536 443\r\n",
                                 "PROXY TCP4 192.168.0.1 192.168.0.11 -1 443\r\n",
                                 "PROXY TCP4 192.168.0.1 192.168.0.11 +1 443\r\n",
                                 "PROXY TCP4 192.168.0.1 192.168.0.11 1 443x\r\n",
                                 "PROXY TCP4 192.168.0.01 192.168.0.11 1 443\r\n",
                                 "PROXY TCP4 192.168.0.256 192.168.0.11 1 443\r\n",
                                 "PROXY TCP4 ::1 ::1 1 443\r\n",
                                 "PROXY TCP6 192.168.0.1 192.168.0.11 1 443\r\n",
                                 "PROXY TCP6 ::1 192.168.0.11 1 443\r\n",
                                 "PROXY TCP6 fe80::1%eth0 ::1 1 443\r\n",
                                 "PROXY TCP6 1::2::3 ::1 1 443\r\n",
                                 "PROXY TCP5 ::1 ::1 1 443\r\n",
                                 "PROXY tcp4 1.2.3.4 1.2.3.4 1 1\r\n",
                                 "PROXY UNKNOWNX\r\n",
                                 "PROXY UNKNOWN a\nb\r\n",
                                 "PROXY \r\n",
                                 "PROXY TCP4 \r\n",
                                 "PROXY TCP4\r\n"}) {
    const Outcome outcome = decode(line);
    EXPECT_EQ(outcome.state, State::malformed) << line;
    EXPECT_EQ(outcome.why, "a malformed PROXY protocol line") << line;
  }
  const Outcome endless = decode("PROXY UNKNOWN " + std::string(200, 'x'));
  EXPECT_EQ(endless.why, "the line of a PROXY protocol header has no end");
  EXPECT_EQ(endless.taken, kMostV1);
}

TEST(ProxyDecoder, WhatIsNoHeaderShowsAtOnce) {
  for (const auto& [text, seen] : {std::pair("GET / HTTP/1.1\r\n"s, 1U),
                                   {"\x16\x03\x01"s, 1},
                                   {"PROXX"s, 5},
                                   {"PROXY\r"s, 6},
                                   {"\r\n\r\n\0\r\nQUIX"s, 11}}) {
    Decoder decoder;
    for (std::size_t i = 0; i < seen; ++i) {
      EXPECT_EQ(decoder.state(), State::reading);
      EXPECT_EQ(decoder.feed(as_bytes(text.substr(i, 1))), 1U);
    }
    EXPECT_EQ(decoder.state(), State::malformed) << text;
    EXPECT_EQ(decoder.why(), "not a PROXY protocol header");
  }
}

TEST(ProxyDecoder, Version2) {
  expect_addresses(kStart + "\x21\x11\x00\x0c\xac\x13\x00\x01\xac\x13\x00\x03\xa6\x52\x00\x50"s,
                   inet("172.19.0.1", 42578, "172.19.0.3", 80));
  expect_addresses(v2("\x21\x21", "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01"s +
                                      std::string(15, '\0') + "\x01\x12\x34\x00\x50"s),
                   inet("2001:db8::1", 0x1234, "::1", 80));
  expect_none(v2("\x20\0"s, ""), Header::Command::local);
  expect_none(v2("\x20\x11", "x"), Header::Command::local);  // all of it is ignored
  expect_none(v2("\x20\xff", std::string(4000, 'x')), Header::Command::local);
  expect_none(v2("\x21\0"s, ""), Header::Command::proxy);
  expect_none(v2("\x21\0"s, "\x03\x00\x04"s), Header::Command::proxy);
  expect_none(v2("\x21\x10", kInet), Header::Command::proxy);
  expect_none(v2("\x21\x02", ""), Header::Command::proxy);
  const Outcome datagram = decode(v2("\x21\x12", kInet));
  EXPECT_EQ(datagram.header.transport, Header::Transport::datagram);
  EXPECT_TRUE(std::get<InetAddresses>(datagram.header.addresses) ==
              inet("203.0.113.9", 40000, "192.0.2.1", 443));
}

TEST(ProxyDecoder, OfHaproxy) {
  // send-proxy-v2 proxy-v2-options crc32c,unique-id; and a health check.
  expect_addresses(kStart + "\x21\x11\x00\x1e\x7f\x00\x00\x01\x7f\x00\x00\x01\xa5\x24\xd2\xef"s +
                       "\x03\x00\x04\x44\x9f\xdf\xc6\x05\x00\x08id-12203"s,
                   inet("127.0.0.1", 0xa524, "127.0.0.1", 0xd2ef));
  expect_none(kStart + "\x20\x00\x00\x07\x03\x00\x04\xa9\xb8\x7e\x8f"s, Header::Command::local);
}

TEST(ProxyDecoder, UnixSockets) {
  const auto field = [](std::string path) {
    path.resize(108);
    return path;
  };
  const auto both = [](const Outcome& outcome) { return std::get<UnixAddresses>(outcome.header.addresses); };
  const Outcome paths = decode(v2("\x21\x31", field("") + field("/run/x\0junk"s)));
  EXPECT_TRUE(both(paths) == (UnixAddresses{"", "/run/x"}));
  const Outcome names = decode(v2("\x21\x32", field("\0name"s) + field(std::string(108, 'x'))));
  EXPECT_TRUE(both(names) == (UnixAddresses{"@name", std::string(108, 'x')}));
  EXPECT_EQ(names.header.transport, Header::Transport::datagram);
}

TEST(ProxyDecoder, Version2IsStrict) {
  for (const std::string& header :
       {v2("\x11\x11", kInet), v2("\x31\x11", kInet), v2("\x22\x11", kInet), v2("\x2f\x11", kInet)})
    EXPECT_EQ(decode(header).why, "unknown version or command of the PROXY protocol");
  for (const std::string& header : {v2("\x21\x41", kInet), v2("\x21\x13", kInet), v2("\x21\xf0", kInet)})
    EXPECT_EQ(decode(header).why, "unknown address family of the PROXY protocol");
  for (const std::string& header : {v2("\x21\x11", kInet.substr(1)), v2("\x21\x21", kInet),
                                    v2("\x21\x31", std::string(215, 'x')), v2("\x21\x11", "")})
    EXPECT_EQ(decode(header).why, "a PROXY protocol header without its addresses");
  const Outcome longest = decode(v2("\x20\0"s, std::string(Decoder::kMostV2 - 16, 'x')));
  EXPECT_EQ(longest.state, State::done);
  const Outcome longer = decode(v2("\x20\0"s, std::string(Decoder::kMostV2 - 15, 'x')));
  EXPECT_EQ(longer.why, "a PROXY protocol header that is too long");
  EXPECT_EQ(longer.taken, 16U);
}

TEST(ProxyDecoder, SkipsValuesWhoseLengthsFit) {
  const auto with = [](const std::string& values) { return v2("\x21\x11", kInet + values); };
  for (const std::string& values : {"\x01\x00\x02h2"s, "\x04\x00\x00"s, "\xe0\x00\x01x\x02\x00\x01y"s})
    EXPECT_EQ(decode(with(values)).state, State::done);
  for (const std::string& values : {"\x01"s, "\x01\x00"s, "\x01\x00\x03h2"s, "\x04\x00\x00\x01"s})
    EXPECT_EQ(decode(with(values)).why, "a damaged PROXY protocol header");
}

TEST(ProxyDecoder, ChecksTheChecksum) {
  // Worked out by another program, bit by bit.
  const auto with = [](const std::string& sum) {
    return v2("\x21\x11", kInet + "\x01\x00\x02h2\x03\x00\x04"s + sum + "\x04\x00\x00"s);
  };
  const std::string right = with("\xdb\x26\x95\x27");
  expect_addresses(right, inet("203.0.113.9", 40000, "192.0.2.1", 443));
  const std::size_t type = 16 + kInet.size() + 5;  // another one makes it no checksum
  for (std::size_t i = 16; i < right.size(); ++i) {
    if (i == type) continue;
    std::string wrong = right;
    wrong[i] ^= 1;
    EXPECT_EQ(decode(wrong).state, State::malformed) << i;
  }
  EXPECT_EQ(decode(v2("\x21\x11", kInet + "\x03\x00\x03xyz"s)).state, State::malformed);
  EXPECT_EQ(decode(v2("\x21\x11", kInet + "\x03\x00\x04\0\0\0\0\x03\x00\x04\0\0\0\0"s)).state,
            State::malformed);
}

}  // namespace
}  // namespace culvert::proxyproto

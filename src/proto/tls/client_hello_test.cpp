// SPDX-License-Identifier: Apache-2.0
#include "proto/tls/client_hello.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "base/wire.hpp"
#include "tests/support/client_hellos.hpp"

namespace culvert::tls {
namespace {

using namespace std::string_literals;
using State = ClientHello::State;
using testing::kHelloWithName;
using testing::kHelloWithoutName;

struct Outcome {
  State state;
  std::optional<std::string> name;
  std::string why;
  std::optional<std::string> no_name = {};
  bool operator==(const Outcome&) const = default;
};

Outcome read_in(std::string_view bytes, std::size_t piece) {
  ClientHello hello;
  for (std::size_t at = 0; at < bytes.size(); at += piece) hello.feed(as_bytes(bytes.substr(at, piece)));
  return {hello.state(), hello.server_name(), std::string(hello.why()), hello.no_server_name()};
}

Outcome read(std::string_view bytes) {
  const Outcome whole = read_in(bytes, bytes.size());
  for (const std::size_t piece : {1, 2, 7}) EXPECT_TRUE(read_in(bytes, piece) == whole);
  return whole;
}

std::string u16(std::size_t value) { return {static_cast<char>(value >> 8), static_cast<char>(value)}; }
std::string vector(const std::string& content) { return u16(content.size()) + content; }
std::string record(const std::string& fragment) { return "\x16\x03\x01" + vector(fragment); }
std::string extension(std::size_t type, const std::string& content) { return u16(type) + vector(content); }
std::string name_list(const std::string& name) { return vector("\0"s + vector(name)); }

// Without its record: of TLS 1.2, one cipher suite. `tail` is what is behind the compression methods.
std::string message(const std::string& tail) {
  const std::string body = "\x03\x03" + std::string(32, 'r') + "\0"s + vector("\x13\x01") + "\x01\0"s + tail;
  return "\x01\0"s + vector(body);
}
std::string message_for(const std::string& name) {
  return message(
      vector(extension(0x0a0a, "") + extension(0, name_list(name)) + extension(0x2b, "\x02\x03\x04")));
}

TEST(TlsClientHello, OfOpenssl) {
  EXPECT_TRUE(read(kHelloWithName) == (Outcome{State::done, "db.example.org", ""}));
  EXPECT_TRUE(read(kHelloWithName + "what follows") == (Outcome{State::done, "db.example.org", ""}));
  EXPECT_TRUE(read(kHelloWithoutName) == (Outcome{State::done, std::nullopt, ""}));
}

TEST(TlsClientHello, EachByteIsWaitedFor) {
  for (std::size_t size = 0; size < kHelloWithName.size(); ++size)
    EXPECT_EQ(read_in(kHelloWithName.substr(0, size), 1000).state, State::reading) << size;
}

TEST(TlsClientHello, InManyRecords) {
  const std::string hello = message_for("web.example");
  for (const std::size_t size : {1, 2, 3, 4, 5, 40}) {
    std::string bytes;
    for (std::size_t at = 0; at < hello.size(); at += size) bytes += record(hello.substr(at, size));
    EXPECT_TRUE(read(bytes) == (Outcome{State::done, "web.example", ""})) << size;
  }
}

TEST(TlsClientHello, WithoutExtensions) {
  EXPECT_TRUE(read(record(message(""))) == (Outcome{State::done, std::nullopt, ""}));
  EXPECT_TRUE(read(record(message(vector("")))) == (Outcome{State::done, std::nullopt, ""}));
}

TEST(TlsClientHello, WhatIsNoTlsShowsAtOnce) {
  for (const std::string& text : {"GET / HTTP/1.1\r\n"s, "SSH-2.0-x\r\n"s, "\x16\x02"s, "\x80\x2e\x01"s,
                                  "\x15\x03\x01\0\x02"s, "\0\0\0\x08\x04\xd2\x16\x2f"s}) {
    const std::size_t seen = text[0] == '\x16' ? 2 : 1;
    EXPECT_TRUE(read_in(text.substr(0, seen), 1) ==
                (Outcome{State::no_tls, std::nullopt, "no TLS handshake"}));
    EXPECT_EQ(read(text).state, State::no_tls);
  }
}

TEST(TlsClientHello, RecordsAreJudged) {
  const std::string hello = message_for("web.example");
  EXPECT_EQ(read(record("")).why, "a TLS record of a forbidden length");
  EXPECT_EQ(read(record(hello.substr(0, 9)) + record("")).why, "a TLS record of a forbidden length");
  EXPECT_EQ(read("\x16\x03\x01\x40\x01"s).why, "a TLS record of a forbidden length");
  EXPECT_EQ(read(record("\x02")).why, "no TLS ClientHello");
  const Outcome other = read(record(hello.substr(0, 9)) + "\x17\x03\x03");
  EXPECT_TRUE(other == (Outcome{State::malformed, std::nullopt, "no TLS handshake"}));
}

TEST(TlsClientHello, IsBounded) {
  const std::string too_long = "a TLS ClientHello that is too long";
  EXPECT_EQ(read(record("\x01\x01\0\0"s)).why, too_long);
  EXPECT_EQ(read(record("\x01\0\x40\x01"s)).why, too_long);
  // One that just fits, if it were not for the heads of its records.
  const std::string most = message(vector(extension(1, std::string(16 * 1024 - 100, 'x'))));
  EXPECT_EQ(read(record(most)).state, State::done);
  std::string bytes;
  for (std::size_t at = 0; at < most.size(); at += 100) bytes += record(most.substr(at, 100));
  EXPECT_EQ(read(bytes).why, too_long);
}

TEST(TlsClientHello, LengthsMustFit) {
  const std::string tail = vector(extension(0, name_list("web.example")));
  for (std::size_t size = 1; size < tail.size(); ++size)
    EXPECT_EQ(read(record(message(tail.substr(0, size)))).why, "a malformed TLS ClientHello") << size;
  EXPECT_EQ(read(record(message(tail + "x"))).state, State::malformed);
  EXPECT_EQ(read(record("\x01\0\0\x01x"s)).state, State::malformed);
}

TEST(TlsClientHello, NamesAreNamesOfHosts) {
  const std::string label(63, 'a');
  for (const std::string& good :
       {"a"s, "A-b_c.9"s, label + "." + label + "." + label + "." + label.substr(2)})
    EXPECT_EQ(read(record(message_for(good))).state, State::done) << good;
  for (const std::string& bad :
       {"."s, "a."s, ".a"s, "a..b"s, "a b"s, "a/b"s, "a\0b"s, "\xc3\xa4"s, "*.a"s, "192.0.2.1"s, "::1"s,
        label + "a", label + "." + label + "." + label + "." + label})
    EXPECT_TRUE(read(record(message_for(bad))) == (Outcome{State::done, std::nullopt, "", bad})) << bad;
  EXPECT_EQ(read(record(message_for(""))).why, "a malformed TLS ClientHello");
}

TEST(TlsClientHello, ThereIsOneName) {
  const std::string entry = "\0"s + vector("web.example");
  for (const std::string& extensions :
       {extension(0, vector(entry)) + extension(0, vector(entry)), extension(0, vector(entry + entry)),
        extension(0, vector("")), extension(0, ""), extension(0, vector("\x01" + vector("web.example"))),
        extension(0, vector(entry) + "x")})
    EXPECT_EQ(read(record(message(vector(extensions)))).why, "a malformed TLS ClientHello");
}

TEST(TlsAlert, IsARecord) {
  EXPECT_EQ(as_text(fatal_alert(Alert::unrecognized_name)), "\x15\x03\x01\x00\x02\x02\x70"s);
  EXPECT_EQ(as_text(fatal_alert(Alert::missing_extension)), "\x15\x03\x01\x00\x02\x02\x6d"s);
}

}  // namespace
}  // namespace culvert::tls

// SPDX-License-Identifier: Apache-2.0
#include "files/revoked_keys.hpp"

#include <sys/stat.h>

#include <fstream>

#include <gtest/gtest.h>

#include "crypto/base64.hpp"
#include "crypto/certificate_fixtures_test.hpp"
#include "crypto/key_fixtures_test.hpp"
#include "crypto/private_key.hpp"
#include "tests/support/temp_dir.hpp"

namespace culvert::files {
namespace {

// Made by ssh-keygen -k (OpenSSH 9.2), of the keys and certificates in crypto's fixtures.
// clang-format off
constexpr std::string_view kBySerialList =
    "U1NIS1JMCgAAAAABAAAAAAAAAAEAAAAAawinRwAAAAAAAAAAAAAAAAAAAAABAAAAUAAAADMAAAALc3NoLWVkMjU1MTkAAAAgJc3b90pePntjto8tGkq6q+exrhRgH+9atRHjr+SFcYAAAAAAIAAAABAAAAAAAAAABwAAAAAELB2A";
constexpr std::string_view kBySerialRange =
    "U1NIS1JMCgAAAAABAAAAAAAAAAEAAAAAawinRwAAAAAAAAAAAAAAAAAAAAABAAAAUAAAADMAAAALc3NoLWVkMjU1MTkAAAAgJc3b90pePntjto8tGkq6q+exrhRgH+9atRHjr+SFcYAAAAAAIQAAABAAAAAAAAAABQAAAAAATEtA";
constexpr std::string_view kBySerialBitmap =
    "U1NIS1JMCgAAAAABAAAAAAAAAAEAAAAAawinRwAAAAAAAAAAAAAAAAAAAAABAAAAUQAAADMAAAALc3NoLWVkMjU1MTkAAAAgJc3b90pePntjto8tGkq6q+exrhRgH+9atRHjr+SFcYAAAAAAIgAAABEAAAAAAAAAAwAAAAUVVVVVVQ==";
constexpr std::string_view kBySerialBitmapOfOthers =
    "U1NIS1JMCgAAAAABAAAAAAAAAAEAAAAAawinRwAAAAAAAAAAAAAAAAAAAAABAAAAUQAAADMAAAALc3NoLWVkMjU1MTkAAAAgJc3b90pePntjto8tGkq6q+exrhRgH+9atRHjr+SFcYAAAAAAIgAAABEAAAAAAAAAAgAAAAUVVVVVVQ==";
constexpr std::string_view kByKeyId =
    "U1NIS1JMCgAAAAABAAAAAAAAAAEAAAAAawinRwAAAAAAAAAAAAAAAAAAAAABAAAASwAAADMAAAALc3NoLWVkMjU1MTkAAAAgJc3b90pePntjto8tGkq6q+exrhRgH+9atRHjr+SFcYAAAAAAIwAAAAsAAAAHaG9zdCBpZA==";
constexpr std::string_view kByKeyIdOfAnybody =
    "U1NIS1JMCgAAAAABAAAAAAAAAAEAAAAAawinRwAAAAAAAAAAAAAAAAAAAAABAAAAGAAAAAAAAAAAIwAAAAsAAAAHaG9zdCBpZA==";
constexpr std::string_view kBySerialOfAnother =
    "U1NIS1JMCgAAAAABAAAAAAAAAAEAAAAAawinRwAAAAAAAAAAAAAAAAAAAAABAAAASAAAADMAAAALc3NoLWVkMjU1MTkAAAAgQBPhJuBtwybbAdxhAF0vMpyEb6rg6iPXTaIQdBPu7sEAAAAAIAAAAAgAAAAAAAAABw==";
constexpr std::string_view kByKey =
    "U1NIS1JMCgAAAAABAAAAAAAAAAEAAAAAawinRwAAAAAAAAAAAAAAAAAAAAACAAAANwAAADMAAAALc3NoLWVkMjU1MTkAAAAgXm8lu73+irBYmD87jeUmyu7AVGyIsjcW0UPXh4SoGVI=";
constexpr std::string_view kByAuthority =
    "U1NIS1JMCgAAAAABAAAAAAAAAAEAAAAAawinRwAAAAAAAAAAAAAAAAAAAAACAAAANwAAADMAAAALc3NoLWVkMjU1MTkAAAAgJc3b90pePntjto8tGkq6q+exrhRgH+9atRHjr+SFcYA=";
constexpr std::string_view kBySha1 =
    "U1NIS1JMCgAAAAABAAAAAAAAAAEAAAAAawinRwAAAAAAAAAAAAAAAAAAAAADAAAAGAAAABS0APPI/1KNs8P6vD/fpqPCm+PFRg==";
constexpr std::string_view kBySha256 =
    "U1NIS1JMCgAAAAABAAAAAAAAAAEAAAAAawinRwAAAAAAAAAAAAAAAAAAAAAFAAAAJAAAACBy+F48Y7HP3xiojGmz9Z5KXPIwKHG9g+Ir2LtFhsV3bw==";
constexpr std::string_view kNothing =
    "U1NIS1JMCgAAAAABAAAAAAAAAAEAAAAAawinRwAAAAAAAAAAAAAAAAAAAAA=";
// clang-format on

const crypto::Certificate& certificate() {  // serial 7, "host id", of kCertifiedEd25519 by kAuthority
  static const auto one = *crypto::parse_certificate_line(crypto::kHostEd25519);
  return one;
}

crypto::PublicKey key_in(std::string_view line) { return *crypto::parse_public_key_line(line); }

std::string decoded(std::string_view digits) {
  return std::string(as_text(crypto::base64_decode(digits).value()));
}

Result<RevokedKeys> list_of(std::string_view digits) { return RevokedKeys::parse(decoded(digits)); }

/// A list with these sections, each headed by its type and length.
std::string list_with(ByteView sections) { return decoded(kNothing) + std::string(as_text(sections)); }

Bytes section(std::uint8_t type, ByteView content) {
  Bytes out;
  Writer(out).byte(type).string(content);
  return out;
}

Bytes string_of(ByteView content) {
  Bytes out;
  Writer(out).string(content);
  return out;
}

/// About certificates of kAuthority, with one section of this type in it.
Bytes about_certificates(std::uint8_t type, ByteView content) {
  Bytes inner;
  Writer(inner).string(key_in(crypto::kAuthority).blob()).string({}).bytes(section(type, content));
  return section(1, inner);
}

Bytes numbers(std::initializer_list<std::uint64_t> values) {
  Bytes out;
  for (const std::uint64_t value : values) Writer(out).u64(value);
  return out;
}

std::string list_error(std::string content) {
  const auto list = RevokedKeys::parse(std::move(content));
  return list ? "" : list.error().message;
}

TEST(RevokedKeys, ListsOfCertificates) {
  const auto key = key_in(crypto::kCertifiedEd25519);
  for (const auto digits : {kBySerialList, kBySerialRange, kBySerialBitmap, kByKeyId, kByKeyIdOfAnybody}) {
    const auto list = list_of(digits);
    ASSERT_TRUE(list) << list.error().message;
    EXPECT_TRUE(list->revokes(certificate())) << digits;
    EXPECT_FALSE(list->revokes(key)) << digits;
    const auto other = *crypto::parse_certificate_line(crypto::kForNobody);  // serial 0, "h"
    EXPECT_FALSE(list->revokes(other)) << digits;
  }
  for (const auto digits : {kBySerialBitmapOfOthers, kBySerialOfAnother, kNothing}) {
    const auto list = list_of(digits);
    ASSERT_TRUE(list) << list.error().message;
    EXPECT_FALSE(list->revokes(certificate())) << digits;
  }
}

TEST(RevokedKeys, ListsOfKeys) {
  const auto key = key_in(crypto::kCertifiedEd25519);
  for (const auto digits : {kByKey, kBySha1, kBySha256}) {
    const auto list = list_of(digits);
    ASSERT_TRUE(list) << list.error().message;
    EXPECT_TRUE(list->revokes(key)) << digits;
    EXPECT_TRUE(list->revokes(certificate())) << digits;
    EXPECT_FALSE(list->revokes(key_in(crypto::kAuthority))) << digits;
  }
  const auto list = list_of(kByAuthority);
  ASSERT_TRUE(list);
  EXPECT_TRUE(list->revokes(certificate()));
  EXPECT_FALSE(list->revokes(key));
}

TEST(RevokedKeys, EdgesOfSerialNumbers) {
  constexpr std::uint64_t kLast = ~std::uint64_t{0};
  const auto revokes = [](std::uint8_t type, const Bytes& content) {
    const auto list = RevokedKeys::parse(list_with(about_certificates(type, content)));
    EXPECT_TRUE(list) << list.error().message;
    return list && list->revokes(certificate());
  };
  EXPECT_TRUE(revokes(0x21, numbers({7, 7})));
  EXPECT_TRUE(revokes(0x21, numbers({1, kLast})));
  EXPECT_FALSE(revokes(0x21, numbers({8, kLast})));
  EXPECT_FALSE(revokes(0x21, numbers({1, 6})));
  const auto bitmap = [](std::uint64_t offset, Bytes bits) {
    Bytes out;
    Writer(out).u64(offset).mpint(bits);
    return out;
  };
  EXPECT_TRUE(revokes(0x22, bitmap(7, {1})));
  EXPECT_TRUE(revokes(0x22, bitmap(0, {0x80})));
  EXPECT_TRUE(revokes(0x22, bitmap(6, {3, 0xfe})));
  EXPECT_FALSE(revokes(0x22, bitmap(8, {0xff})));
  EXPECT_FALSE(revokes(0x22, bitmap(6, {0xfd})));
  EXPECT_FALSE(revokes(0x22, bitmap(kLast, {1})));
  EXPECT_FALSE(revokes(0x22, bitmap(1, {})));

  for (const auto& bad : {about_certificates(0x20, numbers({0})), about_certificates(0x21, numbers({0, 9})),
                          about_certificates(0x21, numbers({9, 8})), about_certificates(0x22, bitmap(0, {1})),
                          about_certificates(0x22, bitmap(kLast, {2}))}) {
    EXPECT_NE(list_error(list_with(bad)), "");
  }
}

TEST(RevokedKeys, WhatIsNotUnderstoodMakesItNoList) {
  Bytes optional, critical;
  Writer(optional).text("name").boolean(false).text("content");
  Writer(critical).text("na\x1bme").boolean(true).text("content");
  for (const auto& good : {section(255, optional), about_certificates(0x39, optional), section(2, {})})
    EXPECT_EQ(list_error(list_with(good)), "");
  EXPECT_EQ(list_error(list_with(section(255, critical))),
            "key revocation list: unknown critical extension na\\x1bme");
  EXPECT_NE(list_error(list_with(about_certificates(0x39, critical))), "");
  EXPECT_EQ(list_error(list_with(section(6, {}))), "key revocation list: unknown section 6");
  EXPECT_EQ(list_error(list_with(about_certificates(0x24, {}))),
            "key revocation list: unknown section 36 of certificates");
  EXPECT_NE(list_error(list_with(section(3, string_of(Bytes(32))))), "") << "no SHA-1";
  EXPECT_NE(list_error(list_with(section(5, string_of(Bytes(20))))), "") << "no SHA-256";
  EXPECT_NE(list_error(list_with(about_certificates(0x20, Bytes(7)))), "");
  EXPECT_NE(list_error(list_with(about_certificates(0x21, numbers({1, 2, 3})))), "");
  EXPECT_NE(list_error(list_with(about_certificates(0x23, string_of(as_bytes({"a\0b", 3}))))), "");
  Bytes no_key;
  Writer(no_key).text("no key").string({});
  EXPECT_NE(list_error(list_with(section(1, no_key))), "");
  std::string newer = decoded(kNothing);
  newer[11] = 2;
  EXPECT_EQ(list_error(newer), "key revocation list: unknown format 2");
}

TEST(RevokedKeys, SignaturesStandAtTheEnd) {
  Bytes sections = section(4, key_in(crypto::kAuthority).blob());
  Writer(sections).text("a signature");
  const auto list = RevokedKeys::parse(decoded(kByKey) + std::string(as_text(sections)));
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_TRUE(list->revokes(certificate()));
  Writer(sections).bytes(section(2, {}));
  EXPECT_EQ(list_error(list_with(sections)), "key revocation list: a section behind the signature");
}

TEST(RevokedKeys, NoPartOfAListIsAList) {
  for (const auto digits : {kBySerialList, kBySerialBitmap, kByKeyId, kByKey, kBySha1}) {
    const std::string whole = decoded(digits);
    for (std::size_t length = 1; length < whole.size(); ++length) {
      if (length == decoded(kNothing).size()) continue;
      EXPECT_NE(list_error(whole.substr(0, length)), "") << length;
    }
  }
}

TEST(RevokedKeys, LinesOfText) {
  const auto key = key_in(crypto::kCertifiedEd25519);
  const auto revokes_key = [&](std::string_view text) {
    const auto list = RevokedKeys::parse(std::string(text));
    EXPECT_TRUE(list) << list.error().message;
    return list && list->revokes(key) && list->revokes(certificate());
  };
  const std::string line(crypto::kCertifiedEd25519);
  EXPECT_TRUE(revokes_key(line));
  EXPECT_TRUE(revokes_key("# comment\n\n \t\n\r\n  " + line + " a comment of two words\r\n"));
  EXPECT_TRUE(revokes_key(std::string(crypto::kAuthority) + "\nssh-dss AAAAB3NzaC1kc3M=\n" + line));
  EXPECT_TRUE(revokes_key(crypto::kHostEd25519)) << "the key in a certificate";
  EXPECT_TRUE(revokes_key(crypto::kBySha1)) << "whether it counts or not";
  EXPECT_FALSE(revokes_key(""));
  EXPECT_FALSE(revokes_key(crypto::kKeyFixtures[0].public_line));

  const auto list = RevokedKeys::parse(std::string(crypto::kAuthority));
  ASSERT_TRUE(list);
  EXPECT_FALSE(list->revokes(key));
  EXPECT_TRUE(list->revokes(certificate())) << "by its authority";
}

TEST(RevokedKeys, ALineThatIsNoKeyIsAnError) {
  EXPECT_EQ(list_error("# comment\nssh-ed25519\n"), "line 2: not a public key");
  EXPECT_EQ(list_error("ssh-rsa" + std::string(crypto::kAuthority).substr(11)),
            "line 1: names another key type than its key has");
  for (const std::string text : {"x", "ssh-ed25519 !", "ssh-new AAAAB3NzaC1uZXc=", "\xff\xfe"})
    EXPECT_NE(list_error(text), "") << text;
  EXPECT_NE(list_error("no-pty " + std::string(crypto::kAuthority)), "") << "options are for authorized_keys";
}

TEST(RevokedKeys, ErrorsOfFilesNameThem) {
  const testing::TempDir folder;
  const std::string path = folder.path() / "revoked";
  const auto missing = read_revoked_keys(path);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, path + " does not exist");
  EXPECT_EQ(read_revoked_keys("/dev/zero").error().code, Errc::limit);
  std::ofstream(path) << "";
  ASSERT_EQ(::chmod(path.c_str(), 0666), 0);
  EXPECT_TRUE(read_revoked_keys(path));
  EXPECT_EQ(read_revoked_keys(path, OwnerCheck::required).error().code, Errc::verification);
  EXPECT_NE(read_revoked_keys("/proc/self/cmdline").error().message.find("/proc/self/cmdline: line 1: "),
            std::string::npos);
}

}  // namespace
}  // namespace culvert::files

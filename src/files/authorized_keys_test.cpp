// SPDX-License-Identifier: Apache-2.0
#include "files/authorized_keys.hpp"

#include <gtest/gtest.h>

#include "base/wire.hpp"
#include "crypto/base64.hpp"
#include "crypto/certificate_fixtures_test.hpp"
#include "crypto/key_fixtures_test.hpp"
#include "crypto/private_key.hpp"

namespace culvert::files {
namespace {

std::string line_of(std::string_view fixture) {
  for (const crypto::KeyFixture& candidate : crypto::kKeyFixtures) {
    if (candidate.name == fixture) return std::string(candidate.public_line);
  }
  return {};
}

crypto::PublicKey key_of(std::string_view fixture) {
  return *crypto::parse_public_key_line(line_of(fixture));
}

std::string security_key_line() {
  const std::string_view type = "sk-ssh-ed25519@openssh.com";
  const crypto::PublicKey plain = key_of("ed25519");
  Reader reader(plain.blob());
  EXPECT_TRUE(reader.text());
  Bytes blob;
  Writer(blob).text(type).string(*reader.string()).text("ssh:");
  EXPECT_TRUE(crypto::PublicKey::parse(blob));
  return std::string(type) + " " + crypto::base64_encode(blob);
}

AuthorizedKeys parse_keys(std::string_view text) {
  auto keys = parse_authorized_keys(text, [](UnixSeconds local) { return local; });
  EXPECT_TRUE(keys);
  return keys.value_or(AuthorizedKeys{});
}

std::string warning_of(std::string_view text) {
  const AuthorizedKeys keys = parse_keys(text);
  if (keys.warnings.size() != 1 || !keys.keys.empty()) return "none";
  EXPECT_EQ(keys.warnings[0].line, 1u);
  return keys.warnings[0].text;
}

TEST(AuthorizedKeys, ReadsKeysWithAndWithoutOptions) {
  const AuthorizedKeys keys = parse_keys("# comment\n\n \t# another\r\n" + line_of("ed25519") + "\r\n" +
                                         "  restrict,command=\"a b\\\" # c\" \t" + line_of("ecdsa256") +
                                         " \n" + "\tpermitopen=\"x:1\"\t" + line_of("rsa"));
  EXPECT_TRUE(keys.warnings.empty());
  ASSERT_EQ(keys.keys.size(), 3u);
  EXPECT_EQ(keys.keys[0].key, key_of("ed25519"));
  EXPECT_EQ(keys.keys[0].comment, "ed25519 comment");
  EXPECT_EQ(keys.keys[0].line, 4u);
  EXPECT_EQ(keys.keys[0].options, KeyOptions{});
  EXPECT_EQ(keys.keys[1].key, key_of("ecdsa256"));
  EXPECT_EQ(keys.keys[1].comment, "ecdsa256 comment");
  EXPECT_EQ(keys.keys[1].line, 5u);
  EXPECT_EQ(keys.keys[1].options.command, "a b\" # c");
  EXPECT_FALSE(keys.keys[1].options.port_forwarding);
  EXPECT_EQ(keys.keys[2].options.permit_open, (std::vector<Permit>{{"x", 1}}));
}

TEST(AuthorizedKeys, NamesAndSkipsLinesThatMakeNoSense) {
  const std::string key = line_of("ed25519");
  const std::string digits = key.substr(12, key.find(' ', 12) - 12);
  struct Row {
    std::string line;
    std::string_view warning;
  };
  for (const Row& row : {Row{"foo " + key, "unknown key option \"foo\""},
                         {"pty, restrict " + key, "key type \"restrict\" is not supported"},
                         {"permitopen = \"a:1\" " + key, "unknown key option \"permitopen\""},
                         {"command=\"a " + key, "quotes in front of the key are not closed"},
                         {"command=\"a\\\" " + key, "quotes in front of the key are not closed"},
                         {"ssh-foo " + digits, "unknown key option \"ssh-foo\""},
                         {"pty ssh-foo " + digits, "key type \"ssh-foo\" is not supported"},
                         {"pty", "key is missing"},
                         {"ssh-ed25519", "key is missing"},
                         {"pty ssh-ed25519 ", "key is missing"},
                         {"ssh-ed25519 !", "text is not valid base64"},
                         {"ssh-rsa " + digits, "names another key type than its key has"},
                         {"ssh-dss AAAA", "key type \"ssh-dss\" is not supported"},
                         {std::string(crypto::kUserRsa),
                          "this is a certificate: put its authority's key here, with cert-authority"},
                         {"verify-required " + security_key_line(),
                          "keys of type sk-ssh-ed25519@openssh.com are not supported here"},
                         {key + std::string(1, '\0'), "line has a zero byte in it"},
                         {key + std::string(kMaxAuthorizedKeysLine, ' '), "line is too long"}}) {
    EXPECT_EQ(warning_of(row.line), row.warning) << row.line.substr(0, 60);
  }
  const AuthorizedKeys keys = parse_keys("foo " + key + "\n" + key + "\nbar " + key + "\n");
  ASSERT_EQ(keys.keys.size(), 1u);
  EXPECT_EQ(keys.keys[0].line, 2u);
  ASSERT_EQ(keys.warnings.size(), 2u);
  EXPECT_EQ(keys.warnings[1].line, 3u);
}

TEST(AuthorizedKeys, AreBounded) {
  EXPECT_EQ(parse_authorized_keys(std::string(kMaxAuthorizedKeysSize + 1, '\n'), nullptr).error().code,
            Errc::limit);
  EXPECT_TRUE(parse_keys(std::string(kMaxAuthorizedKeysSize, '\n')).keys.empty());
  std::string bad, many;
  for (int i = 0; i < 200; ++i) bad += "foo\n";
  EXPECT_EQ(parse_keys(bad).warnings.size(), 100u);
  const std::string key = line_of("ed25519").substr(0, 80) + "\n";
  for (std::size_t i = 0; i < kMaxAuthorizedKeys + 2; ++i) many += key;
  const AuthorizedKeys keys = parse_keys(many);
  EXPECT_EQ(keys.keys.size(), kMaxAuthorizedKeys);
  ASSERT_EQ(keys.warnings.size(), 1u);
  EXPECT_EQ(keys.warnings[0].text, "more than 8192 keys: this one and those behind it do not count");
}

TEST(AuthorizedKeys, FindsAllLinesOfAKey) {
  const AuthorizedKeys keys =
      parse_keys("from=\"10.0.0.1\" " + line_of("ed25519") + "\n" + line_of("rsa") + "\n" +
                 "cert-authority " + line_of("ed25519") + "\nrestrict " + line_of("ed25519"));
  const auto found = keys.with_key(key_of("ed25519"));
  ASSERT_EQ(found.size(), 2u) << "an authority logs nobody in";
  EXPECT_EQ(found[0]->line, 1u);
  EXPECT_EQ(found[1]->line, 4u);
  EXPECT_TRUE(keys.with_key(key_of("ecdsa256")).empty());
}

TEST(AuthorizedKeys, FindsTheAuthorityOfACertificate) {
  const auto certificate = *crypto::parse_certificate_line(crypto::kUserRsa);  // for alice and bob
  const std::string authority = "ssh-rsa " + crypto::base64_encode(certificate.authority().blob()) + "\n";
  const AuthorizedKeys keys =
      parse_keys("cert-authority " + authority + authority + "cert-authority,principals=\"bob,x\" " +
                 authority + "cert-authority,principals=\"x,alic\" " + authority +
                 "cert-authority,principals=\"\" " + authority + "cert-authority " + line_of("ed25519"));
  ASSERT_EQ(keys.keys.size(), 6u);
  const auto lines = [&](const crypto::Certificate& of, std::string_view user) {
    std::vector<std::size_t> numbers;
    for (const AuthorizedKey* entry : keys.with_authority(of, user)) numbers.push_back(entry->line);
    return numbers;
  };
  EXPECT_EQ(lines(certificate, "alice"), (std::vector<std::size_t>{1, 3}));
  EXPECT_EQ(lines(certificate, "carol"), (std::vector<std::size_t>{3}))
      << "principals replace the user's name";
  EXPECT_TRUE(keys.with_key(certificate.key()).empty());

  const auto host = *crypto::parse_certificate_line(crypto::kHostEd25519);
  const AuthorizedKeys of_host = parse_keys("cert-authority " + std::string(crypto::kAuthority));
  EXPECT_TRUE(of_host.with_authority(host, "web.example.org").empty())
      << "a host's certificate is for no user";
  EXPECT_TRUE(of_host.with_authority(*crypto::parse_certificate_line(crypto::kForNobody), "").empty());
}

}  // namespace
}  // namespace culvert::files

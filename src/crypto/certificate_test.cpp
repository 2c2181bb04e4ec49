// SPDX-License-Identifier: Apache-2.0
#include "crypto/certificate.hpp"

#include <gtest/gtest.h>

#include "base/wire.hpp"
#include "crypto/base64.hpp"
#include "crypto/certificate_fixtures_test.hpp"
#include "crypto/hash.hpp"
#include "crypto/key_algorithms.hpp"
#include "crypto/key_line.hpp"
#include "crypto/private_key.hpp"

namespace culvert::crypto {
namespace {

constexpr std::uint64_t k2026 = 1767225600;
constexpr std::uint64_t k2027 = 1798761600;
constexpr std::uint64_t kForever = ~std::uint64_t{0};
const std::vector<std::string> kAll(authority_algorithms().begin(), authority_algorithms().end());

Certificate read(std::string_view line) { return parse_certificate_line(line).value(); }

Bytes blob_of(std::string_view line) {
  line.remove_prefix(line.find(' ') + 1);
  return base64_decode(line.substr(0, line.find(' '))).value();
}

// A certificate that is made here, to be wrong in one way at a time.
struct Maker {
  PrivateKey authority = PrivateKey::generate_ed25519();
  PrivateKey subject = PrivateKey::generate_ed25519();
  std::string type = "ssh-ed25519-cert-v01@openssh.com";
  std::uint32_t kind = 2;
  Bytes principals = strings({"host"});
  std::uint64_t after = 0, before = kForever;
  Bytes critical, extensions;
  Bytes authority_blob = copy_of(authority.public_key().blob());
  Bytes tail;

  static Bytes strings(std::initializer_list<std::string_view> texts) {
    Bytes out;
    for (const auto text : texts) Writer(out).text(text);
    return out;
  }

  [[nodiscard]] Bytes to_be_signed() const {
    Reader subject_fields(subject.public_key().blob());
    (void)subject_fields.string();
    Bytes out;
    Writer(out).text(type).text("nonce").bytes(subject_fields.rest()).u64(1).u32(kind).text("id");
    Writer(out).string(principals).u64(after).u64(before).string(critical).string(extensions).text("");
    Writer(out).string(authority_blob);
    return out;
  }

  [[nodiscard]] Bytes make() const {
    Bytes out = to_be_signed();
    const Bytes signature = authority.sign("ssh-ed25519", out).value();
    Writer(out).string(signature).bytes(tail);
    return out;
  }

  [[nodiscard]] Errc refused() const {
    const auto certificate = Certificate::parse(make());
    EXPECT_FALSE(certificate);
    return certificate ? Errc::cancelled : certificate.error().code;
  }

  [[nodiscard]] std::string wrong_for(std::string_view host, std::uint64_t now = 1) const {
    const auto done = check_host_certificate(Certificate::parse(make()).value(), host, now, kAll);
    EXPECT_TRUE(done || done.error().code == Errc::verification);
    return done ? "" : done.error().message;
  }
};

TEST(Certificate, ReadsWhatSshKeygenMade) {
  const Certificate host = read(kHostEd25519);
  EXPECT_EQ(host.type(), "ssh-ed25519-cert-v01@openssh.com");
  EXPECT_EQ(host.kind(), Certificate::Kind::host);
  EXPECT_EQ(host.serial(), 7u);
  EXPECT_EQ(host.key_id(), "host id");
  EXPECT_EQ(host.principals(), (std::vector<std::string>{"web.example.org", "10.0.0.1"}));
  EXPECT_EQ(host.valid_after(), k2026);
  EXPECT_EQ(host.valid_before(), k2027);
  EXPECT_TRUE(host.critical_options().empty());
  EXPECT_EQ(host.authority(), parse_public_key_line(kAuthority).value());
  EXPECT_EQ(host.key(), parse_public_key_line(kCertifiedEd25519).value());
  EXPECT_EQ(host.signature_algorithm(), "ssh-ed25519");

  const Certificate user = read(kUserRsa);
  EXPECT_EQ(user.type(), "ssh-rsa-cert-v01@openssh.com");
  EXPECT_EQ(user.kind(), Certificate::Kind::user);
  EXPECT_EQ(user.key().type(), "ssh-rsa");
  EXPECT_EQ(user.signature_algorithm(), "rsa-sha2-256");
  EXPECT_EQ(user.critical_options(), (std::vector<std::string>{"force-command", "source-address"}));
  EXPECT_EQ(as_text(user.critical_option("source-address").value()), std::string_view("\0\0\0\x0c"
                                                                                      "127.0.0.1/32",
                                                                                      16));
  EXPECT_TRUE(user.extension("permit-port-forwarding").value().empty());
  EXPECT_FALSE(user.critical_option("permit-port-forwarding"));
  EXPECT_FALSE(user.extension("source-address"));
  EXPECT_FALSE(host.extension("permit-port-forwarding"));
}

TEST(Certificate, EveryTypeOfKey) {
  for (const auto line : {kHostEcdsa256, kHostEcdsa384, kHostEcdsa521, kHostRsa}) {
    const Certificate certificate = read(line);
    EXPECT_EQ(certificate.key().type(), certified_key_type(certificate.type()));
    EXPECT_TRUE(check_host_certificate(certificate, "web.example.org", k2026, kAll)) << certificate.type();
  }
}

TEST(Certificate, EveryTruncationAndEveryChangedByteIsRefused) {
  const Bytes blob = blob_of(kHostEd25519);
  for (std::size_t size = 0; size < blob.size(); ++size)
    EXPECT_FALSE(Certificate::parse(ByteView(blob).first(size))) << size;
  for (std::size_t at = 0; at < blob.size(); ++at) {
    Bytes changed = blob;
    changed[at] ^= 1;
    EXPECT_FALSE(Certificate::parse(changed)) << at;
  }
}

TEST(Certificate, Sha1IsRefused) {
  const auto certificate = parse_certificate_line(kBySha1);
  ASSERT_FALSE(certificate);
  EXPECT_EQ(certificate.error().code, Errc::verification);
  EXPECT_EQ(certificate.error().message, "certificate is signed with ssh-rsa (SHA-1), which does not count");
}

TEST(Certificate, ItsKeyIsReadWithoutJudgingIt) {
  const auto blob_of = [](std::string_view line) { return split_key_line(line).value().blob; };
  for (const std::string_view line : {kHostEd25519, kBySha1, kForNobody})
    EXPECT_EQ(certified_key_blob(blob_of(line)).value(), blob_of(kCertifiedEd25519));
  EXPECT_FALSE(certified_key_blob(blob_of(kCertifiedEd25519)));
  const Bytes whole = blob_of(kHostEd25519);
  EXPECT_FALSE(certified_key_blob(ByteView(whole).first(80)));
}

TEST(Certificate, Bounds) {
  Maker maker;
  ASSERT_TRUE(Certificate::parse(maker.make()));
  maker.principals.clear();
  for (std::size_t i = 0; i < kMaxPrincipals; ++i) Writer(maker.principals).text("x");
  EXPECT_TRUE(Certificate::parse(maker.make()));
  Writer(maker.principals).text("x");
  EXPECT_EQ(maker.refused(), Errc::limit);

  Maker large;
  large.extensions = Maker::strings({"x", std::string(kMaxCertificateSize, 'x')});
  EXPECT_EQ(large.refused(), Errc::limit);
  Maker many;
  for (std::size_t i = 0; i < 257; ++i) Writer(many.critical).text("x").text("");
  EXPECT_EQ(many.refused(), Errc::limit);
}

TEST(Certificate, StructureCounts) {
  Maker odd;
  odd.principals.push_back(0);
  EXPECT_EQ(odd.refused(), Errc::malformed);
  Maker option;
  option.critical = Maker::strings({"name without data"});
  EXPECT_EQ(option.refused(), Errc::malformed);
  Maker kind;
  kind.kind = 3;
  EXPECT_EQ(kind.refused(), Errc::unsupported);
  Maker tail;
  tail.tail = {0};
  EXPECT_EQ(tail.refused(), Errc::malformed);
  Maker type;
  type.type = "ssh-ed25519";
  EXPECT_EQ(type.refused(), Errc::unsupported);
  Maker other;
  other.type = "ssh-rsa-cert-v01@openssh.com";
  EXPECT_FALSE(Certificate::parse(other.make()));
}

TEST(Certificate, AnAuthorityIsNoCertificateAndSignsItself) {
  Maker chained;
  chained.authority_blob = Maker().make();
  EXPECT_EQ(chained.refused(), Errc::unsupported);
  Maker stranger;
  stranger.authority_blob = copy_of(PrivateKey::generate_ed25519().public_key().blob());
  EXPECT_EQ(stranger.refused(), Errc::verification);
}

TEST(Certificate, OfAHost) {
  const Certificate host = read(kHostEd25519);
  EXPECT_TRUE(check_host_certificate(host, "web.example.org", k2026, kAll));
  EXPECT_TRUE(check_host_certificate(host, "10.0.0.1", k2027 - 1, kAll));
  const auto wrong = [&](std::string_view name, std::uint64_t now) {
    const auto done = check_host_certificate(host, name, now, kAll);
    return done ? "" : done.error().message;
  };
  EXPECT_EQ(wrong("web.example.org", k2027), "it expired on 2027-01-01 00:00:00 UTC");
  EXPECT_EQ(wrong("web.example.org", k2026 - 1), "it is not valid before 2026-01-01 00:00:00 UTC");
  EXPECT_EQ(wrong("mail.example.org", k2026),
            "it is for web.example.org, 10.0.0.1, not for mail.example.org");
  EXPECT_EQ(wrong("web.example.orgx", k2026),
            "it is for web.example.org, 10.0.0.1, not for web.example.orgx");

  const std::vector<std::string> rsa_alone = {"rsa-sha2-512"};
  EXPECT_FALSE(check_host_certificate(host, "web.example.org", k2026, rsa_alone));
  EXPECT_TRUE(check_host_certificate(read(kHostRsa), "web.example.org", k2026, rsa_alone));
  EXPECT_EQ(check_host_certificate(read(kForNobody), "web.example.org", k2026, kAll).error().message,
            "it names no host");
  EXPECT_EQ(check_host_certificate(read(kUserRsa), "alice", k2026, kAll).error().message,
            "it is for a user, not for a host");
}

TEST(Certificate, WhatOnlyAnAuthorityCanGetWrong) {
  Maker maker;
  EXPECT_EQ(maker.wrong_for("host"), "");
  maker.principals = Maker::strings({"*", "ho?t", "HOST", ""});
  EXPECT_NE(maker.wrong_for("host"), "") << "names are no patterns";
  maker = Maker();
  maker.critical = Maker::strings({"new-thing\n", ""});
  EXPECT_EQ(maker.wrong_for("host"), "it has options that are not known: new-thing\\x0a");
  maker = Maker();
  maker.after = kForever;
  EXPECT_EQ(maker.wrong_for("host"), "it is not valid before the end of time");
}

// A security key in software, as in PROTOCOL.u2f.
TEST(Certificate, SecurityKeysAsSubjectAndAsAuthority) {
  const PrivateKey token = PrivateKey::generate_ed25519();
  Reader fields(token.public_key().blob());
  (void)fields.string();
  Bytes blob;
  Writer(blob).text("sk-ssh-ed25519@openssh.com").bytes(fields.rest()).text("ssh:");
  const PublicKey key = PublicKey::parse(blob).value();
  EXPECT_TRUE(key.is_security_key());
  EXPECT_EQ(key.short_type(), "ED25519-SK");

  const auto sign = [&](ByteView message, std::string_view application) {
    Bytes seen;
    Writer(seen).bytes(hash(HashId::sha256, as_bytes(application))).byte(1).u32(5);
    Writer(seen).bytes(hash(HashId::sha256, message));
    const Bytes whole = token.sign("ssh-ed25519", seen).value();
    Reader reader(whole);
    (void)reader.string();
    Bytes signature;
    Writer(signature).text("sk-ssh-ed25519@openssh.com").string(reader.string().value()).byte(1).u32(5);
    return signature;
  };
  const Bytes message = copy_of(as_bytes("message"));
  EXPECT_TRUE(key.verify("sk-ssh-ed25519@openssh.com", message, sign(message, "ssh:")));
  EXPECT_FALSE(key.verify("sk-ssh-ed25519@openssh.com", message, sign(message, "other")));
  Bytes other_counter = sign(message, "ssh:");
  other_counter.back() ^= 1;
  EXPECT_FALSE(key.verify("sk-ssh-ed25519@openssh.com", message, other_counter));
  EXPECT_FALSE(key.verify("ssh-ed25519", message, sign(message, "ssh:")));

  Maker maker;
  maker.authority_blob = blob;
  Bytes certificate = maker.to_be_signed();
  Writer(certificate).string(sign(certificate, "ssh:"));
  ASSERT_TRUE(Certificate::parse(certificate));
  EXPECT_EQ(Certificate::parse(certificate)->signature_algorithm(), "sk-ssh-ed25519@openssh.com");
}

TEST(KeyAlgorithms, NamesBelongTogether) {
  EXPECT_EQ(signature_of("rsa-sha2-512-cert-v01@openssh.com"), "rsa-sha2-512");
  EXPECT_EQ(signature_of("ssh-ed25519"), "ssh-ed25519");
  EXPECT_EQ(signature_of("ssh-rsa-cert-v01@openssh.com"), "") << "SHA-1";
  EXPECT_EQ(certified_key_type("ssh-rsa-cert-v01@openssh.com"), "ssh-rsa");
  EXPECT_EQ(certified_key_type("rsa-sha2-512-cert-v01@openssh.com"), "") << "no type of a blob";
  for (const auto name : user_key_algorithms()) {
    EXPECT_EQ(is_certificate_algorithm(name), name.ends_with("-cert-v01@openssh.com"));
    EXPECT_FALSE(key_type_of(signature_of(name)).empty()) << name;
  }
  for (const auto name : host_key_algorithms()) EXPECT_FALSE(name.starts_with("sk-")) << name;
  EXPECT_EQ(host_key_algorithms().front(), "ssh-ed25519-cert-v01@openssh.com");
}

}  // namespace
}  // namespace culvert::crypto

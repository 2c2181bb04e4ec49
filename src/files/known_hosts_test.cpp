// SPDX-License-Identifier: Apache-2.0
#include "files/known_hosts.hpp"

#include <gtest/gtest.h>

#include "crypto/base64.hpp"
#include "crypto/certificate_fixtures_test.hpp"
#include "crypto/key_fixtures_test.hpp"
#include "crypto/private_key.hpp"
#include "files/hashed_host.hpp"

namespace culvert::files {
namespace {

using enum HostKeyVerdict::Status;

std::string_view line_of(std::string_view fixture) {
  for (const crypto::KeyFixture& candidate : crypto::kKeyFixtures) {
    if (candidate.name == fixture) return candidate.public_line;
  }
  return {};
}

crypto::PublicKey host_key(std::string_view fixture) {
  return *crypto::parse_public_key_line(line_of(fixture));
}

/// "HOSTS type base64 comment"
std::string entry(std::string_view hosts, std::string_view fixture) {
  return std::string(hosts) + " " + std::string(line_of(fixture)) + "\n";
}

KnownHosts parse_hosts(std::string text) {
  KnownHosts hosts;
  EXPECT_TRUE(hosts.add("file", std::move(text)));
  return hosts;
}

HostKeyVerdict::Status status(const KnownHosts& hosts, std::string_view host, std::uint16_t port,
                              std::string_view fixture) {
  return hosts.lookup(host, port, host_key(fixture)).status;
}

TEST(KnownHosts, FindsPlainNames) {
  const KnownHosts hosts =
      parse_hosts("# comment\n\n" + entry("alpha,Beta.Example.org,192.0.2.1,::1", "ed25519") +
                  "  \t# another\n" + entry("gamma", "rsa"));
  for (const std::string_view name : {"alpha", "ALPHA", "beta.example.org", "192.0.2.1", "::1"}) {
    const HostKeyVerdict verdict = hosts.lookup(name, 22, host_key("ed25519"));
    EXPECT_EQ(verdict.status, known) << name;
    EXPECT_EQ(verdict.where.file, "file");
    EXPECT_EQ(verdict.where.line, 3u);
  }
  EXPECT_EQ(status(hosts, "gamma", 22, "rsa"), known);
  for (const std::string_view name : {"alph", "alphaa", "example.org", "beta", "", "192.0.2.10"}) {
    EXPECT_EQ(status(hosts, name, 22, "ed25519"), unknown) << name;
  }
  EXPECT_TRUE(hosts.bad_lines().empty());
}

// What ssh of OpenSSH 9.2 does with each of these was tried against its sshd.
TEST(KnownHosts, JudgesAsOpenSshDoes) {
  const std::string other_type = entry("h", "ecdsa256");
  const KnownHosts one = parse_hosts(other_type);
  const HostKeyVerdict verdict = one.lookup("h", 22, host_key("ed25519"));
  EXPECT_EQ(verdict.status, changed) << "a key of another type makes it changed, too";
  EXPECT_EQ(verdict.where.line, 1u);
  EXPECT_EQ(verdict.key_type, "ecdsa-sha2-nistp256");

  const KnownHosts both = parse_hosts(entry("h", "ecdsa384") + entry("h", "ecdsa256"));
  EXPECT_EQ(status(both, "h", 22, "ecdsa256"), known) << "any line will do";
  EXPECT_EQ(both.lookup("h", 22, host_key("ecdsa256")).where.line, 2u);
  EXPECT_EQ(status(both, "h", 22, "ecdsa521"), changed);
}

TEST(KnownHosts, NamesTheLineOfTheSameTypeIfThereIsOne) {
  const std::string old_key = "h ssh-ed25519 " + crypto::base64_encode([] {
                                const auto key = crypto::PrivateKey::generate_ed25519();
                                return copy_of(key.public_key().blob());
                              }()) +
                              "\n";
  for (const std::string& text : {entry("h", "rsa") + old_key, old_key + entry("h", "rsa")}) {
    const HostKeyVerdict verdict = parse_hosts(text).lookup("h", 22, host_key("ed25519"));
    EXPECT_EQ(verdict.status, changed);
    EXPECT_EQ(verdict.key_type, "ssh-ed25519");
  }
}

TEST(KnownHosts, OtherPorts) {
  const KnownHosts hosts = parse_hosts(entry("[h]:2222,[::1]:2200", "ed25519") + entry("plain", "rsa"));
  EXPECT_EQ(status(hosts, "h", 2222, "ed25519"), known);
  EXPECT_EQ(status(hosts, "H", 2222, "ed25519"), known);
  EXPECT_EQ(status(hosts, "::1", 2200, "ed25519"), known);
  EXPECT_EQ(status(hosts, "h", 2222, "rsa"), changed);
  EXPECT_EQ(status(hosts, "h", 22, "ed25519"), unknown);
  EXPECT_EQ(status(hosts, "h", 2223, "ed25519"), unknown);
  // The bare name is asked when the one with a port is not there, but only a key that fits counts.
  EXPECT_EQ(status(hosts, "plain", 2222, "rsa"), known);
  EXPECT_EQ(status(hosts, "plain", 2222, "ed25519"), unknown);
}

TEST(KnownHosts, Patterns) {
  const KnownHosts hosts =
      parse_hosts(entry("*.example.org,!bad.example.org", "ed25519") + entry("10.0.?.*", "rsa") +
                  entry("[127.0.0.*]:2222", "ecdsa256") + entry("!*.net,*", "ecdsa521"));
  EXPECT_EQ(status(hosts, "a.example.org", 22, "ed25519"), known);
  EXPECT_EQ(status(hosts, "a.b.EXAMPLE.org", 22, "ed25519"), known);
  EXPECT_EQ(status(hosts, "bad.example.org", 22, "ed25519"), changed) << "only the last line is for it";
  EXPECT_EQ(status(hosts, "example.net", 22, "ed25519"), unknown);
  EXPECT_EQ(status(hosts, "10.0.1.77", 22, "rsa"), known);
  EXPECT_EQ(status(hosts, "10.0.12.77", 22, "rsa"), changed);
  EXPECT_EQ(status(hosts, "127.0.0.1", 2222, "ecdsa256"), known);
  EXPECT_EQ(status(hosts, "anything", 22, "ecdsa521"), known);
}

TEST(KnownHosts, NamesHashedBySshKeygen) {
  const KnownHosts hosts = parse_hosts(
      "|1|O5RMI3qLgWLDSxRqJegjkzq9dmU=|ueIokx+MAqU005wk37G/DomXBE4= " + std::string(line_of("ed25519")) +
      "\n" + "|1|fM8hx/uIHEEsnBzoLdOQ3B11fJk=|NtrJn9jJUVcRn+DKyPLeJ5S5Pc4= " +
      std::string(line_of("ecdsa256")) + "\n" +
      "|1|4pnAPhK3IKhvdt9hlHnpUGHuZKY=|1+k4ITe10msBcq8ZRddX4CjiPZ8= " + std::string(line_of("rsa")) + "\n");
  EXPECT_TRUE(hosts.bad_lines().empty());
  EXPECT_EQ(status(hosts, "example.com", 22, "ed25519"), known);
  EXPECT_EQ(status(hosts, "Example.COM", 22, "ed25519"), known);
  EXPECT_EQ(status(hosts, "example.com", 2222, "ecdsa256"), known);
  EXPECT_EQ(status(hosts, "::1", 2200, "rsa"), known);
  EXPECT_EQ(status(hosts, "example.org", 22, "ed25519"), unknown);
  EXPECT_EQ(status(hosts, "::1", 22, "rsa"), unknown);
}

TEST(KnownHosts, RevokedBeatsEverything) {
  const KnownHosts hosts = parse_hosts(entry("h", "ed25519") + "@revoked " + entry("*", "ed25519") +
                                       "@revoked\t" + entry("q", "rsa") + entry("q,h", "ecdsa256"));
  const HostKeyVerdict verdict = hosts.lookup("h", 22, host_key("ed25519"));
  EXPECT_EQ(verdict.status, revoked);
  EXPECT_EQ(verdict.where.line, 2u);
  EXPECT_EQ(status(hosts, "h", 2222, "ed25519"), revoked);
  EXPECT_EQ(status(hosts, "other", 22, "ed25519"), revoked);
  EXPECT_EQ(status(hosts, "q", 22, "rsa"), revoked);
  EXPECT_EQ(status(hosts, "q", 2222, "rsa"), revoked) << "of the bare host: for all of its ports";
  EXPECT_EQ(status(hosts, "h", 22, "rsa"), changed);
  EXPECT_EQ(status(hosts, "other", 22, "rsa"), unknown) << "a revoked key makes no host known";
  EXPECT_EQ(hosts.key_types("q", 22), (std::vector<std::string>{"ecdsa-sha2-nistp256"}));
}

TEST(KnownHosts, AuthoritiesAreNoPlainKeys) {
  const KnownHosts hosts = parse_hosts("@cert-authority " + entry("*.example.org", "ed25519"));
  EXPECT_EQ(status(hosts, "a.example.org", 22, "ed25519"), unknown);
  EXPECT_EQ(status(hosts, "a.example.org", 22, "rsa"), unknown);
  EXPECT_TRUE(hosts.key_types("a.example.org", 22).empty());
  EXPECT_TRUE(hosts.has_authority("a.example.org", 22));
  EXPECT_FALSE(hosts.has_authority("example.net", 22));
}

TEST(KnownHosts, AuthoritiesOfCertificates) {
  const auto certificate = crypto::parse_certificate_line(crypto::kHostEd25519).value();
  const auto status_of = [&](const std::string& text, std::uint16_t port = 22) {
    return parse_hosts(text).lookup("web.example.org", port, certificate).status;
  };
  const std::string ours = " " + std::string(crypto::kAuthority) + "\n";
  const std::string other = " " + std::string(line_of("ecdsa256")) + "\n";
  EXPECT_EQ(status_of(""), unknown);
  EXPECT_EQ(status_of("web.example.org" + ours), unknown) << "an authority's key as a plain one";
  EXPECT_EQ(status_of("@cert-authority *.example.org" + ours), known);
  EXPECT_EQ(status_of("@cert-authority *.example.org,!web.example.org" + ours), unknown);
  EXPECT_EQ(status_of("@cert-authority *.example.org" + other), changed);
  EXPECT_EQ(status_of("@cert-authority *.example.org" + other + "@cert-authority *" + ours), known);
  EXPECT_EQ(parse_hosts("\n@cert-authority *" + ours).lookup("web.example.org", 22, certificate).where.line,
            2u);

  // The port's own lines, or else those of the bare host.
  EXPECT_EQ(status_of("@cert-authority [web.example.org]:2222" + ours, 2222), known);
  EXPECT_EQ(status_of("@cert-authority web.example.org" + ours, 2222), known);
  EXPECT_EQ(
      status_of("@cert-authority [web.example.org]:2222" + other + "@cert-authority web.example.org" + ours,
                2222),
      changed);

  const std::string trusted = "@cert-authority *" + ours;
  EXPECT_EQ(status_of(trusted + "@revoked *" + ours), revoked);
  EXPECT_EQ(
      status_of(trusted + "@revoked web.example.org " + std::string(crypto::kCertifiedEd25519) + "\n", 2222),
      revoked);
  EXPECT_EQ(status_of(trusted + "@revoked other" + ours), known);
  EXPECT_EQ(status_of("@cert-authority |1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg=" + ours),
            unknown)
      << "the hash of another name";
}

TEST(KnownHosts, CombinesFiles) {
  KnownHosts hosts;
  ASSERT_TRUE(hosts.add("user", entry("h", "rsa")));
  ASSERT_TRUE(hosts.add("system", "\n" + entry("h", "ed25519")));
  const KnownHosts copy = hosts;
  EXPECT_EQ(copy.lookup("h", 22, host_key("ed25519")).where.file, "system");
  EXPECT_EQ(copy.lookup("h", 22, host_key("ed25519")).where.line, 2u);
  EXPECT_EQ(copy.lookup("h", 22, host_key("rsa")).where.file, "user");
  EXPECT_EQ(copy.key_types("h", 22), (std::vector<std::string>{"ssh-rsa", "ssh-ed25519"}));
}

TEST(KnownHosts, KeyTypesOfAHost) {
  const KnownHosts hosts =
      parse_hosts(entry("h", "ed25519") + entry("h", "ed25519") + entry("h", "ecdsa384") +
                  entry("[h]:2222", "rsa") + entry("other", "ecdsa521"));
  EXPECT_EQ(hosts.key_types("h", 22), (std::vector<std::string>{"ssh-ed25519", "ecdsa-sha2-nistp384"}));
  EXPECT_EQ(hosts.key_types("h", 2222), (std::vector<std::string>{"ssh-rsa"}));
  EXPECT_EQ(hosts.key_types("h", 99), (std::vector<std::string>{"ssh-ed25519", "ecdsa-sha2-nistp384"}));
  EXPECT_TRUE(hosts.key_types("nowhere", 22).empty());
}

TEST(KnownHosts, BadLinesAreSkippedAndReported) {
  const std::string key(line_of("ed25519"));
  const std::string text =
      "h\n"                     // 1
      "h ssh-ed25519\n"         // 2
      "h # ssh-ed25519 AAAA\n"  // 3
      "@unknown h " +
      key +
      "\n"  // 4
      "@revoked @revoked h " +
      key +
      "\n"          // 5
      "@revoked\n"  // 6
      "|1|AAAA|AAAA " +
      key +
      "\n"  // 7
      "|2|O5RMI3qLgWLDSxRqJegjkzq9dmU= " +
      key + "\n"                              // 8
      + std::string("h\0h ", 4) + key + "\n"  // 9
      + entry("h", "ed25519");                // 10
  const KnownHosts hosts = parse_hosts(text);
  ASSERT_EQ(hosts.bad_lines().size(), 9u);
  for (std::size_t i = 0; i < 9; ++i) EXPECT_EQ(hosts.bad_lines()[i].where.line, i + 1);
  EXPECT_EQ(hosts.lookup("h", 22, host_key("ed25519")).where.line, 10u);
}

TEST(KnownHosts, ALineThatRevokesCountsHoweverLongItIs) {
  std::string names;
  while (names.size() < 80'000) names += "host" + std::to_string(names.size()) + ",";
  const std::string key(line_of("ed25519"));
  EXPECT_EQ(status(parse_hosts("@revoked " + names + "* " + key + "\n"), "h", 22, "ed25519"), revoked);
  EXPECT_EQ(status(parse_hosts("@revoked * " + key + std::string(" \0", 2) + "\n"), "h", 22, "ed25519"),
            revoked);
}

TEST(KnownHosts, UnreadableKeysOfAHostAreSkippedAndReported) {
  std::string cut(line_of("ed25519"));
  cut.erase(cut.find(' ', 20) - 4);
  const KnownHosts hosts = parse_hosts("h ssh-ed25519 AAAA\nh ssh-ed25519 ****\nh " + cut + "\nh ssh-rsa " +
                                       std::string(line_of("ed25519").substr(12)) + "\nh 1024 35 123456\n");
  EXPECT_TRUE(hosts.bad_lines().empty());
  EXPECT_EQ(hosts.bad_lines_of("h", 22).size(), 5u);
  EXPECT_TRUE(hosts.bad_lines_of("other", 22).empty());
  EXPECT_EQ(status(hosts, "h", 22, "ed25519"), unknown);
}

TEST(KnownHosts, KeysThatWeCannotUseStillMakeAHostKnown) {
  // "string type" and some bytes: what matters is that OpenSSH knows the type.
  const auto fake = [](std::string_view type) {
    std::string blob{'\0', '\0', '\0', static_cast<char>(type.size())};
    blob += type;
    blob += "rest";
    return "h " + std::string(type) + " " + crypto::base64_encode(as_bytes(blob)) + "\n";
  };
  EXPECT_EQ(status(parse_hosts(fake("ssh-dss")), "h", 22, "ed25519"), changed);
  const std::string token =
      "h sk-ssh-ed25519@openssh.com "
      "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIDbVLPcb3L87elX9trSnOky+vWqSXSTu"
      "1WPgVi9fgY1AAAAABHNzaDo=\n";
  EXPECT_EQ(status(parse_hosts(token), "h", 22, "ed25519"), changed);
  EXPECT_TRUE(parse_hosts(token).key_types("h", 22).empty()) << "no host key is asked for of a token";
  EXPECT_TRUE(parse_hosts(fake("ssh-dss")).key_types("h", 22).empty());
  EXPECT_EQ(status(parse_hosts(fake("ssh-future")), "h", 22, "ed25519"), unknown);
  EXPECT_TRUE(parse_hosts(fake("ssh-future")).bad_lines_of("h", 22).empty());
}

TEST(KnownHosts, CertificatesOnLines) {
  const auto key = crypto::parse_public_key_line(crypto::kCertifiedEd25519).value();
  const std::string plain = std::string("h ") + std::string(crypto::kCertifiedEd25519) + "\n";
  const std::string certificate = std::string("h ") + std::string(crypto::kHostEd25519) + "\n";
  const auto status_of = [&](const std::string& text) {
    return parse_hosts(text).lookup("h", 22, key).status;
  };
  EXPECT_EQ(status_of(certificate), changed) << "it is no plain key";
  EXPECT_EQ(status_of(certificate + plain), known);
  EXPECT_EQ(status_of(plain + "@revoked " + certificate), revoked) << "whoever has signed it";
  EXPECT_EQ(status(parse_hosts(plain + "@revoked " + certificate), "h", 22, "rsa"), changed);
  EXPECT_TRUE(parse_hosts(certificate).key_types("h", 22).empty());
  const std::string broken =
      "h ssh-ed25519-cert-v01@openssh.com " +
      crypto::base64_encode(as_bytes(std::string("\0\0\0\x20ssh-ed25519-cert-v01@openssh.com", 36))) + "\n";
  EXPECT_EQ(status_of(broken), unknown);
  EXPECT_EQ(parse_hosts(broken).bad_lines_of("h", 22).size(), 1u);
}

TEST(KnownHosts, LineEnds) {
  std::string crlf = entry("h", "ed25519");
  crlf.insert(crlf.size() - 1, "\r");
  EXPECT_EQ(status(parse_hosts(crlf), "h", 22, "ed25519"), known);
  std::string bare = "\t h\t \t" + std::string(line_of("ed25519"));
  bare = bare.substr(0, bare.rfind(" ed25519"));
  EXPECT_EQ(status(parse_hosts(bare), "h", 22, "ed25519"), known);
  EXPECT_EQ(status(parse_hosts(bare + "\r\n"), "h", 22, "ed25519"), known);
}

TEST(KnownHosts, BoundsItsInput) {
  KnownHosts hosts;
  const auto result = hosts.add("large", std::string(kMaxKnownHostsSize + 1, '\n'));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::limit);
  std::string bad;
  for (int i = 0; i < 5000; ++i) bad += "h\n";
  EXPECT_EQ(parse_hosts(bad).bad_lines().size(), 100u);
}

TEST(KnownHosts, EveryTruncationOfAFileIsHarmless) {
  const std::string text =
      entry("h", "ed25519") + "@revoked " + entry("h", "rsa") +
      "|1|O5RMI3qLgWLDSxRqJegjkzq9dmU=|ueIokx+MAqU005wk37G/DomXBE4= " + std::string(line_of("ed25519")) +
      "\n";
  const std::size_t first = entry("h", "ed25519").find(" ed25519 comment");
  for (std::size_t size = 0; size <= text.size(); ++size) {
    EXPECT_EQ(status(parse_hosts(text.substr(0, size)), "h", 22, "ed25519"), size < first ? unknown : known)
        << size;
  }
}

class CountingRandom final : public crypto::Random {
 public:
  void fill(MutableBytes out) override {
    for (std::uint8_t& byte : out) byte = next_++;
  }

 private:
  std::uint8_t next_ = 0;
};

Result<std::string> line_of(std::string_view host, std::uint16_t port, const crypto::PublicKey& key,
                            bool hashed, crypto::Random& random) {
  const HostName name{host, port};
  return format_known_hosts({&name, 1}, key, hashed, random);
}

TEST(KnownHostsLine, IsFoundAgain) {
  CountingRandom random;
  for (const bool hashed : {false, true}) {
    for (const std::uint16_t port : {std::uint16_t{22}, std::uint16_t{2222}}) {
      for (const std::string_view host : {"Example.COM", "192.0.2.1", "2001:db8::1", "fe80::1%eth0"}) {
        const auto line = line_of(host, port, host_key("ecdsa521"), hashed, random);
        ASSERT_TRUE(line);
        EXPECT_EQ(line->starts_with("|1|"), hashed);
        EXPECT_EQ(line->find(host) != line->npos, !hashed && host != "Example.COM");
        const KnownHosts hosts = parse_hosts(*line);
        EXPECT_EQ(status(hosts, host, port, "ecdsa521"), known) << *line;
        EXPECT_EQ(status(hosts, host, static_cast<std::uint16_t>(port + 1), "rsa"), unknown);
      }
    }
  }
  EXPECT_EQ(*line_of("H", 22, host_key("ed25519"), false, random),
            "h ssh-ed25519 " + crypto::base64_encode(host_key("ed25519").blob()) + "\n");
  EXPECT_TRUE(line_of("H", 2222, host_key("ed25519"), false, random)->starts_with("[h]:2222 ssh-"));
}

TEST(KnownHostsLine, OneKeyHasSeveralNames) {
  CountingRandom random;
  const HostName names[] = {{"Web.example", 2222}, {"2001:db8::1", 22}};
  const auto key = host_key("ed25519");
  EXPECT_EQ(*format_known_hosts(names, key, false, random),
            "[web.example]:2222,2001:db8::1 ssh-ed25519 " + crypto::base64_encode(key.blob()) + "\n");
  const auto hashed = *format_known_hosts(names, key, true, random);
  EXPECT_EQ(std::ranges::count(hashed, '\n'), 2);
  for (const auto& [host, port] : names) EXPECT_EQ(status(parse_hosts(hashed), host, port, "ed25519"), known);
  const HostName bad[] = {{"web.example", 22}, {"a,b", 22}};
  EXPECT_FALSE(format_known_hosts(bad, key, false, random));
}

TEST(KnownHostsLine, RefusesNamesThatMeanSomethingElse) {
  CountingRandom random;
  for (const std::string_view host :
       {"", "a b", "a\tb", "a\nb", "a,b", "*", "h?", "!h", "|1|x", "#h", "@revoked", "[h]"}) {
    const auto line = line_of(host, 22, host_key("ed25519"), false, random);
    ASSERT_FALSE(line) << host;
    EXPECT_EQ(line.error().code, Errc::usage);
  }
}

}  // namespace
}  // namespace culvert::files

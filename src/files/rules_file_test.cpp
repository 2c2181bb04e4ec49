// SPDX-License-Identifier: Apache-2.0
#include "files/rules_file.hpp"

#include <string>

#include <gtest/gtest.h>

namespace culvert::files {
namespace {

constexpr std::string_view kFingerprint = "SHA256:GCfp6PZUeodco3oOhqC3GncLdGnAADe0ixai7kdWoM0";

RulesFile parse(std::string_view text) {
  auto file = parse_rules_file(text, "r.toml");
  EXPECT_TRUE(file) << file.error().message;
  return file.value_or(RulesFile{});
}

std::string error_of(std::string_view text) {
  const auto file = parse_rules_file(text, "r.toml");
  return file ? "none" : file.error().message;
}

TEST(RulesFile, ReadsUsersAndKeys) {
  const RulesFile file = parse(R"(
[[user]]
name = "alice"
authorized_keys = "/etc/culvert/alice.keys"
connect = ["10.0.0.0/8:5432", "db.internal:5432", "!10.0.0.1:*", "unix:/run/app.sock"]
listen = ["8000-8999", "127.0.0.1:9000"]
listen_default = "0.0.0.0"
max_streams = 100
max_sessions = 3
max_listeners = 0
bytes_per_second_in = "10M"
bytes_per_second_out = 12345
quota = "2T"
until = 2027-01-01T02:00:00+02:00

[user.key.")" + std::string(kFingerprint) +
                               R"("]
connect = []
listen_default = ["10.0.0.1", "::ffff:10.0.0.2", "::1"]
quota = "64K"

[[user]]
name = "bob"
)");
  ASSERT_EQ(file.users.size(), 2u);
  const UserRules* alice = file.find("alice");
  ASSERT_NE(alice, nullptr);
  EXPECT_EQ(alice->authorized_keys, "/etc/culvert/alice.keys");
  ASSERT_EQ(alice->rules.connect.value().size(), 4u);
  EXPECT_EQ(alice->rules.connect->at(0).network.text(), "10.0.0.0/8");
  EXPECT_EQ(alice->rules.connect->at(3).pattern, "/run/app.sock");
  EXPECT_EQ(alice->rules.listen.value().at(0).kind, ForwardRule::Kind::standard);
  EXPECT_EQ(alice->rules.listen_default, std::vector{IpAddress()});
  const Limits limits{.max_sessions = 3,
                      .max_streams = 100,
                      .max_listeners = 0,
                      .bytes_per_second_in = 10u << 20,
                      .bytes_per_second_out = 12345,
                      .quota = std::uint64_t{2} << 40,
                      .until = 1798761600};
  EXPECT_EQ(alice->rules.limits, limits);

  ASSERT_EQ(alice->keys.size(), 1u);
  EXPECT_EQ(alice->keys[0].fingerprint, kFingerprint);
  EXPECT_TRUE(alice->keys[0].rules.connect.value().empty());
  EXPECT_FALSE(alice->keys[0].rules.listen);
  EXPECT_EQ(
      alice->keys[0].rules.listen_default,
      (std::vector{*IpAddress::parse("10.0.0.1"), *IpAddress::parse("10.0.0.2"), *IpAddress::parse("::1")}));
  EXPECT_EQ(alice->keys[0].rules.limits.quota, 64u << 10);

  EXPECT_FALSE(file.find("bob")->rules.connect);
  EXPECT_EQ(file.find("carol"), nullptr);
  EXPECT_TRUE(parse("").users.empty());
}

TEST(RulesFile, NamesTheLineThatIsWrong) {
  struct Row {
    std::string_view lines, error;
  };
  for (const Row& row :
       {Row{"conect = []", "3: unknown keyword \"conect\""},
        {"\n\"con\\u001bect\" = []", "4: unknown keyword \"con\\x1bect\""},
        {"connect = \"a:1\"", "3: connect is no list: write connect = [\"...\"]"},
        {"connect = [1]", "3: connect is no text in quotes that can be printed"},
        {"connect = [\n\"a:1\",\n\"b\"]",
         "5: connect: \"b\": port is missing: write HOST:PORT, or HOST:* for every port"},
        {"listen = [\"a:1\"]",
         "3: listen: \"a:1\": where to listen is an address, a network or \"*\", not a name"},
        {"listen_default = \"localhost\"", "3: listen_default is no address like 127.0.0.1 or ::1"},
        {"listen_default = []", "3: listen_default has no address, or too many"},
        {"max_streams = -1", "3: max_streams is no number"},
        {"max_streams = 4294967296", "3: max_streams is no number"},
        {"max_streams = 1.0", "3: max_streams is no number"},
        {"max_listeners = \"1\"", "3: max_listeners is no number"},
        {"quota = 0", "3: quota is no size like \"10M\""},
        {"quota = -1", "3: quota is no size like \"10M\""},
        {"quota = \"0M\"", "3: quota is no size like \"10M\""},
        {"quota = \"M\"", "3: quota is no size like \"10M\""},
        {"quota = \"10m\"", "3: quota is no size like \"10M\""},
        {"quota = \"10MM\"", "3: quota is no size like \"10M\""},
        {"quota = \"9999999T\"", "3: quota is no size like \"10M\""},
        {"quota = \"\"", "3: quota is no text in quotes that can be printed"},
        {"until = \"2027-01-01\"",
         "3: until is no time with a zone, like 2027-01-31T12:00:00Z (without quotes)"},
        {"until = 2027-01-01", "3: until is no time with a zone, like 2027-01-31T12:00:00Z (without quotes)"},
        {"until = 2027-01-01T00:00:00",
         "3: until is no time with a zone, like 2027-01-31T12:00:00Z (without quotes)"},
        {"authorized_keys = [\"a\"]", "3: authorized_keys is no text in quotes that can be printed"},
        {"[user.key.\"MD5:1\"]", "3: write [user.key.\"SHA256:...\"], as ssh-keygen -l shows it"},
        {"key = 1", "3: write [user.key.\"SHA256:...\"], as ssh-keygen -l shows it"},
        {"[[user]]\nconnect = []", "3: user has no name"},
        {"[[user]]\nname = \"alice\"", "3: user \"alice\" is there twice"},
        {"[other]", "3: unknown keyword \"other\""},
        {"[user.other]", "3: unknown keyword \"other\""}}) {
    EXPECT_EQ(error_of("[[user]]\nname = \"alice\"\n" + std::string(row.lines)),
              "r.toml:" + std::string(row.error))
        << row.lines;
  }
  EXPECT_EQ(error_of("\n[user.key.\"" + std::string(kFingerprint) + "\"]\n"),
            "r.toml:2: write [[user]], with two brackets");
  EXPECT_EQ(error_of("user = [1]"), "r.toml:1: write [[user]], with two brackets");
  EXPECT_EQ(
      error_of("[[user]]\nname = \"a\"\n[user.key.\"" + std::string(kFingerprint) + "\"]\nname = \"b\""),
      "r.toml:4: unknown keyword \"name\"");
  EXPECT_TRUE(error_of("[[user]]\nname = \"a").starts_with("r.toml:2: ")) << error_of("[[user]]\nname = \"a");
  EXPECT_TRUE(error_of("[[user]]\nname = \"a\"\nname = \"b\"").starts_with("r.toml:3: "));
  EXPECT_TRUE(error_of("a = " + std::string(100000, '[')).starts_with("r.toml:1: "));
}

TEST(RulesFile, IsBounded) {
  EXPECT_EQ(parse_rules_file(std::string(kMaxRulesFileSize + 1, '\n'), "r.toml").error().code, Errc::limit);
  std::string list;
  for (int i = 0; i < 4097; ++i) list += "\"1\",";
  EXPECT_EQ(error_of("[[user]]\nname = \"a\"\nlisten = [" + list + "]"),
            "r.toml:3: listen has more than 4096 entries");
}

}  // namespace
}  // namespace culvert::files

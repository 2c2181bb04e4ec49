// SPDX-License-Identifier: Apache-2.0
#include "files/forward_rule.hpp"

#include <string>

#include <gtest/gtest.h>

namespace culvert::files {
namespace {

using Kind = ForwardRule::Kind;

TEST(ForwardRule, Ports) {
  EXPECT_EQ(*parse_ports("80"), (PortRange{80, 80}));
  EXPECT_EQ(*parse_ports("1-65535"), (PortRange{1, 65535}));
  EXPECT_EQ(*parse_ports("8000-8999"), (PortRange{8000, 8999}));
  EXPECT_TRUE(parse_ports("*")->is_all());
  EXPECT_TRUE(parse_ports("*")->contains(0));
  EXPECT_FALSE(parse_ports("1-65535")->is_all());
  EXPECT_TRUE(parse_ports("8000-8999")->contains(8000));
  EXPECT_TRUE(parse_ports("8000-8999")->contains(8999));
  EXPECT_FALSE(parse_ports("8000-8999")->contains(7999));
  EXPECT_FALSE(parse_ports("8000-8999")->contains(9000));
  for (const std::string_view text :
       {"", "0", "0-9", "080", "65536", "99999999", "9-8", "1-", "-1", "1-2-3", "**", "1,2", " 1", "http"}) {
    EXPECT_FALSE(parse_ports(text)) << text;
  }
}

TEST(ForwardRule, ReadsWhereToConnect) {
  struct Row {
    std::string_view text;
    Kind kind;
    std::string_view pattern_or_network;
    PortRange ports;
  };
  for (const Row& row : {Row{"db.internal:5432", Kind::name, "db.internal", {5432, 5432}},
                         {"DB.Internal.:5432", Kind::name, "db.internal", {5432, 5432}},
                         {"*.example.org:443", Kind::name, "*.example.org", {443, 443}},
                         {"h?st-1_x:1-2", Kind::name, "h?st-1_x", {1, 2}},
                         {"1x:80", Kind::name, "1x", {80, 80}},
                         {"*:*", Kind::any, "", {}},
                         {"localhost:80", Kind::localhost, "", {80, 80}},
                         {"LocalHost.:80", Kind::localhost, "", {80, 80}},
                         {"self:22", Kind::self, "", {22, 22}},
                         {"10.0.0.0/8:5432", Kind::network, "10.0.0.0/8", {5432, 5432}},
                         {"10.1.2.3:*", Kind::network, "10.1.2.3", {}},
                         {"0.0.0.0/0:80", Kind::network, "0.0.0.0/0", {80, 80}},
                         {"[2001:DB8::]/32:1-1024", Kind::network, "2001:db8::/32", {1, 1024}},
                         {"[2001:db8::/32]:1-1024", Kind::network, "2001:db8::/32", {1, 1024}},
                         {"[::1]:80", Kind::network, "::1", {80, 80}},
                         {"[::]/0:80", Kind::network, "::/0", {80, 80}},
                         {"unix:/run/app/*.sock", Kind::path, "/run/app/*.sock", {}}}) {
    for (const bool denies : {false, true}) {
      const std::string text = (denies ? "!" : "") + std::string(row.text);
      const auto rule = ForwardRule::parse_connect(text);
      ASSERT_TRUE(rule) << text << ": " << rule.error().message;
      EXPECT_EQ(rule->kind, row.kind) << text;
      EXPECT_EQ(rule->kind == Kind::network ? rule->network.text() : rule->pattern, row.pattern_or_network)
          << text;
      EXPECT_EQ(rule->ports, row.ports) << text;
      EXPECT_EQ(rule->denies, denies);
      EXPECT_EQ(rule->text, text);
    }
  }
}

TEST(ForwardRule, ReadsWhereToListen) {
  for (const auto& [text, kind] : {std::pair{"8080", Kind::standard},
                                   {"8000-8999", Kind::standard},
                                   {"!22", Kind::standard},
                                   {"*", Kind::standard},
                                   {"*:80", Kind::any},
                                   {"localhost:80", Kind::localhost},
                                   {"127.0.0.1:9000", Kind::network},
                                   {"[::]:*", Kind::network},
                                   {"10.0.0.0/8:80", Kind::network},
                                   {"unix:/run/x", Kind::path}}) {
    const auto rule = ForwardRule::parse_listen(text);
    ASSERT_TRUE(rule) << text << ": " << rule.error().message;
    EXPECT_EQ(rule->kind, kind) << text;
  }
  for (const std::string_view text :
       {"", "0", "db.internal:80", "self:80", "127.0.0.1", "[::1]", "*.example.org:80"}) {
    EXPECT_FALSE(ForwardRule::parse_listen(text)) << text;
  }
}

TEST(ForwardRule, SaysWhatIsWrong) {
  struct Row {
    std::string_view text, error;
  };
  for (const Row& row :
       {Row{"db.internal", "port is missing: write HOST:PORT, or HOST:* for every port"},
        {"", "port is missing: write HOST:PORT, or HOST:* for every port"},
        {"::1:80", "write IPv6 addresses in brackets: [ADDRESS]:PORT"},
        {"[::1]", "port is missing, or a bracket is not closed"},
        {"[::1", "port is missing, or a bracket is not closed"},
        {"[::1]x:80", "write [ADDRESS]:PORT"},
        {"[db]:80", "brackets are for IPv6 addresses"},
        {"[10.0.0.1]:80", "brackets are for IPv6 addresses"},
        {":80", "host is missing: \"*\" is every host"},
        {"10.*:80", "\"10.*\" is no network like 192.0.2.0/24"},
        {"10.1:80", "\"10.1\" is no network like 192.0.2.0/24"},
        {"x.10:80", "\"x.10\" is no network like 192.0.2.0/24"},
        {"0x7f:80", "\"0x7f\" is no network like 192.0.2.0/24"},
        {"2130706433:80", "\"2130706433\" is no network like 192.0.2.0/24"},
        {"?*:80", "\"?*\" is no network like 192.0.2.0/24"},
        {"db/8:80", "\"db/8\" is no network like 192.0.2.0/24"},
        {"10.0.0.1/8:80", "\"10.0.0.1/8\" is no network like 192.0.2.0/24: bits behind the prefix are set"},
        {"[fe80::1%eth0]:80", "\"fe80::1%eth0\" is no network like 192.0.2.0/24"},
        {"[::ffff:10.0.0.0]/104:80", "these are IPv4 addresses: write 10.0.0.0/8"},
        {"[64:ff9b::]/96:80", "these are IPv4 addresses: write 0.0.0.0/0"},
        {"a b:80", "this is no host name, and no pattern of one"},
        {"!!a:80", "this is no host name, and no pattern of one"},
        {"unix:run/x", "path of a socket does not begin with a slash"},
        {"unix:/run/../x", "path of a socket has \"..\" in it"},
        {"unix:/run//x", "write unix:/run/x"}}) {
    const auto rule = ForwardRule::parse_connect(row.text);
    EXPECT_EQ(rule ? "none" : rule.error().message,
              "\"" + std::string(row.text) + "\": " + std::string(row.error));
  }
  EXPECT_EQ(ForwardRule::parse_connect("db:http").error().message,
            "\"http\" is no port, no range like 8000-8999 and not *");
}

TEST(NormalPath, HasOneForm) {
  struct Row {
    std::string_view path, normal;
  };
  for (const Row& row : {Row{"/run/x", "/run/x"},
                         {"//run///x", "/run/x"},
                         {"/./run/./x", "/run/x"},
                         {"/run/..x", "/run/..x"},
                         {"/run/x..", "/run/x.."},
                         {"/run/...", "/run/..."},
                         {"/run/*", "/run/*"}}) {
    EXPECT_EQ(normal_path(row.path).value_or("none"), row.normal) << row.path;
  }
  for (const std::string_view path : {"", "run/x", "@abstract", "/", "//", "/run/", "/run/.", "/..",
                                      "/run/../x", "/run/x/..", "../x", "/run/\n", "/run/\x7f"}) {
    EXPECT_FALSE(normal_path(path)) << path;
  }
  EXPECT_FALSE(normal_path(std::string_view("/run/x\0y", 8)));
  EXPECT_TRUE(normal_path("/" + std::string(106, 'a')));
  EXPECT_FALSE(normal_path("/" + std::string(107, 'a')));
}

TEST(MatchesPath, KeepsToItsFolder) {
  struct Row {
    std::string_view path, pattern;
    bool matches;
  };
  for (const Row& row : {Row{"/run/x", "/run/x", true},
                         {"/run/X", "/run/x", false},
                         {"/run/x", "/run/X", false},
                         {"/run/a.sock", "/run/*.sock", true},
                         {"/run/b/a.sock", "/run/*.sock", false},
                         {"/run/b/a.sock", "/run/*/*.sock", true},
                         {"/run/b/a.sock", "/run/*", false},
                         {"/run", "/run/*", false},
                         {"/run/x", "/*", false},
                         {"/run/x", "/run/?", true},
                         {"/run/x/y", "/run/x", false}}) {
    EXPECT_EQ(matches_path(row.path, row.pattern), row.matches) << row.path << " " << row.pattern;
  }
}

}  // namespace
}  // namespace culvert::files

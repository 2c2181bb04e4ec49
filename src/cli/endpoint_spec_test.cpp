// SPDX-License-Identifier: Apache-2.0
#include "cli/endpoint_spec.hpp"

#include <gtest/gtest.h>

namespace culvert::cli {
namespace {

using relay::Endpoint;
using relay::HostPort;
using relay::UnixPath;

TEST(EndpointSpec, EveryFormOfALocalForward) {
  struct Row {
    std::string_view text;
    Endpoint listen, destination;
  };
  const Row rows[] = {
      {"8080:a:80", HostPort{"", 8080}, HostPort{"a", 80}},
      {"8080:a:http", HostPort{"", 8080}, HostPort{"a", 80}},
      {"0:a:80", HostPort{"", 0}, HostPort{"a", 80}},
      {"localhost:8080:a:80", HostPort{"localhost", 8080}, HostPort{"a", 80}},
      {"127.0.0.2:8080:a:80", HostPort{"127.0.0.2", 8080}, HostPort{"a", 80}},
      {":8080:a:80", HostPort{"*", 8080}, HostPort{"a", 80}},
      {"*:8080:a:80", HostPort{"*", 8080}, HostPort{"a", 80}},
      {"[::1]:8080:a:80", HostPort{"::1", 8080}, HostPort{"a", 80}},
      {"[]:8080:a:80", HostPort{"*", 8080}, HostPort{"a", 80}},
      {"8080:[2001:db8::1]:80", HostPort{"", 8080}, HostPort{"2001:db8::1", 80}},
      {"[::1]:8080:[fe80::1%eth0]:80", HostPort{"::1", 8080}, HostPort{"fe80::1%eth0", 80}},
      {"8080:/run/x.sock", HostPort{"", 8080}, UnixPath{"/run/x.sock"}},
      {"127.0.0.1:8080:/run/x.sock", HostPort{"127.0.0.1", 8080}, UnixPath{"/run/x.sock"}},
      {"[::1]:8080:/run/x", HostPort{"::1", 8080}, UnixPath{"/run/x"}},
      {"/tmp/a:host:80", UnixPath{"/tmp/a"}, HostPort{"host", 80}},
      {"/tmp/a:[::1]:80", UnixPath{"/tmp/a"}, HostPort{"::1", 80}},
      {"/tmp/a:/tmp/b", UnixPath{"/tmp/a"}, UnixPath{"/tmp/b"}},
      {"~/a:host:80", UnixPath{"~/a"}, HostPort{"host", 80}},
      {"~ann/a:${RUN}/b", UnixPath{"~ann/a"}, UnixPath{"${RUN}/b"}},
      {"8080:%d/b", HostPort{"", 8080}, UnixPath{"%d/b"}},
      {R"(/tmp/a\:b:/tmp/c\\d)", UnixPath{"/tmp/a:b"}, UnixPath{"/tmp/c\\d"}},
  };
  for (const Row& row : rows) {
    const auto forward = parse_local_forward(row.text);
    ASSERT_TRUE(forward) << row.text << ": " << forward.error().message;
    EXPECT_EQ(forward->listen.endpoint, row.listen) << row.text;
    EXPECT_EQ(forward->destination, row.destination) << row.text;
  }
}

TEST(EndpointSpec, BadForwardsSayWhatIsWrong) {
  constexpr std::string_view kForm =
      ": not [bind:]port:host:hostport, where either side may be a /path and IPv6 stands in [brackets]";
  struct Row {
    std::string text;
    std::string message;
  };
  const Row rows[] = {
      {"", "\"\"" + std::string(kForm)},
      {"80", "\"80\"" + std::string(kForm)},
      {"80:a", "\"80:a\"" + std::string(kForm)},
      {"/tmp/a:80", "\"/tmp/a:80\"" + std::string(kForm)},
      {"a:b:c:d:e", "\"a:b:c:d:e\"" + std::string(kForm)},
      {"80:::1:80", "\"80:::1:80\"" + std::string(kForm)},
      {"80:a:0", "\"0\" is not a port (1 to 65535, or a service's name)"},
      {"80:a:65536", "\"65536\" is not a port (1 to 65535, or a service's name)"},
      {"x-y-z:a:80", "\"x-y-z\" is not a port (0 to 65535, or a service's name)"},
      {"80::80", "the host name is empty"},
      {"80:[]:80", "the host name is empty"},
      {"80:[::1:80", "\"80:[::1:80\": '[' without ']'"},
      {"80:[::1]x:80", "\"80:[::1]x:80\": ':' expected behind ']'"},
      {"80:$(id):80", "the host name \"$(id)\" contains \"$\""},
      {"80:-oProxy:80", "the host name \"-oProxy\" begins with '-'"},
      {"80:a\tb:80", "the host name \"a\\x09b\" contains \"\\x09\""},
      {"8080:/" + std::string(200, 'x'),
       "\"/" + std::string(199, 'x') + "...\": the path of a Unix socket has at most 107 bytes"},
  };
  for (const Row& row : rows) {
    const auto forward = parse_local_forward(row.text);
    ASSERT_FALSE(forward) << row.text;
    EXPECT_EQ(forward.error().message, row.message) << row.text;
    EXPECT_EQ(forward.error().code, Errc::usage);
  }
}

TEST(EndpointSpec, StdioDestination) {
  EXPECT_EQ(parse_stdio_destination("inner:22"), (HostPort{"inner", 22}));
  EXPECT_EQ(parse_stdio_destination("[::1]:ssh"), (HostPort{"::1", 22}));
  for (const std::string_view text :
       {"", "inner", "inner:", ":22", "a:b:22", "/run/x:22", "inner:0", "[::1"}) {
    EXPECT_FALSE(parse_stdio_destination(text)) << text;
  }
}

TEST(EndpointSpec, Destination) {
  struct Row {
    std::string_view text;
    std::optional<std::string> user;
    std::string_view host;
    std::optional<std::uint16_t> port;
  };
  const Row rows[] = {
      {"bastion", {}, "bastion", {}},
      {"me@bastion", "me", "bastion", {}},
      {"me@corp@bastion", "me@corp", "bastion", {}},
      {"CORP\\me@bastion", "CORP\\me", "bastion", {}},
      {"::1", {}, "::1", {}},
      {"me@[::1]", "me", "::1", {}},
      {"ssh://bastion", {}, "bastion", {}},
      {"SSH://me@bastion:2222/", "me", "bastion", 2222},
      {"ssh://[::1]:2222", {}, "::1", 2222},
      {"ssh://me@[fe80::1%eth0]", "me", "fe80::1%eth0", {}},
      {"ssh://ro%6ft@host", "root", "host", {}},
      {"ssh://CORP%5Cme%40corp@host:2", "CORP\\me@corp", "host", 2},
      {"ssh://a+b%2B%25@host", "a b+%", "host", {}},
      {"ro%6ft+x@host", "ro%6ft+x", "host", {}},
  };
  for (const Row& row : rows) {
    const auto destination = parse_destination(row.text);
    ASSERT_TRUE(destination) << row.text << ": " << destination.error().message;
    EXPECT_EQ(destination->user, row.user) << row.text;
    EXPECT_EQ(destination->host, row.host) << row.text;
    EXPECT_EQ(destination->port, row.port) << row.text;
  }
  for (const std::string_view text : {"",
                                      "@host",
                                      "me@",
                                      "-",
                                      "-oProxyCommand=x",
                                      "me@-host",
                                      "-me@host",
                                      "a;b",
                                      "a b",
                                      "$(id)",
                                      "`id`",
                                      "me@a|b",
                                      "m;e@host",
                                      "me\\@host",
                                      "me -x@host",
                                      "a\nb",
                                      "ssh://",
                                      "ssh://host:0",
                                      "ssh://host:x-y",
                                      "ssh://[::1",
                                      "[::1]:22",
                                      "ssh://host/path",
                                      "ssh://a%@host",
                                      "ssh://a%4@host",
                                      "ssh://a%zz@host",
                                      "ssh://a%-1@host",
                                      "ssh://a%00b@host",
                                      "ssh://%2dx@host",
                                      "ssh://a%0ab@host",
                                      "ssh://a%3bb@host",
                                      "host*",
                                      "ho'st",
                                      "\"h\""}) {
    EXPECT_FALSE(parse_destination(text)) << text;
  }
}

TEST(EndpointSpec, UsersThatCannotBeDecodedAreQuoted) {
  EXPECT_EQ(parse_destination("ssh://a%zz@host").error().message,
            R"("ssh://a%zz@host": '%' without two hexadecimal digits in front of '@' ("%25" is a '%'))");
  EXPECT_EQ(parse_destination("ssh://a%00@host").error().message,
            R"("ssh://a%00@host": "%00" in front of '@')");
}

TEST(EndpointSpec, UsersOfJumpsAreDecodedInUrlsAlone) {
  const auto hops = parse_jumps("a%40b@one:2,ssh://a%40b@two");
  ASSERT_TRUE(hops) << hops.error().message;
  EXPECT_EQ((*hops)[0].user, "a%40b");
  EXPECT_EQ((*hops)[0].port, 2);
  EXPECT_EQ((*hops)[1].user, "a@b");
}

TEST(EndpointSpec, LoginsAtProxiesAreDecoded) {
  const auto via = parse_proxy_via("socks5://us%20e+r:p%40ss%3a%C3%A4%25@proxy:81");
  ASSERT_TRUE(via) << via.error().message;
  EXPECT_EQ(via->user, "us e+r");
  EXPECT_EQ(via->password->text(), "p@ss:\xC3\xA4%");
  EXPECT_EQ(via->host, "proxy");
  EXPECT_EQ(via->port, 81);
  EXPECT_EQ(parse_proxy_via("http://me:a%@proxy").error().message,
            "'%' without two hexadecimal digits in front of '@' (\"%25\" is a '%')");
  for (const std::string_view text :
       {"http://me:a%2@proxy", "http://m%g0:a@proxy", "http://me:%00@proxy", "socks5://m%00:a@proxy"}) {
    const auto wrong = parse_proxy_via(text);
    ASSERT_FALSE(wrong) << text;
    EXPECT_EQ(wrong.error().code, Errc::usage);
  }
}

}  // namespace
}  // namespace culvert::cli

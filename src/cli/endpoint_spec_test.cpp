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
                                      "host*",
                                      "ho'st",
                                      "\"h\""}) {
    EXPECT_FALSE(parse_destination(text)) << text;
  }
}

}  // namespace
}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "cli/endpoint_spec.hpp"

namespace culvert::cli {
namespace {

using daemon::DirectForward;
using daemon::Transport;
using relay::Endpoint;
using relay::HostPort;
using relay::UnixPath;

TEST(MappingSpec, EveryForm) {
  struct Row {
    std::string_view listen, targets;
    Endpoint at;
    std::vector<Endpoint> to;
    int ports = 1;
    Transport transport = Transport::tcp;
  };
  const Row rows[] = {
      {"8080", "a:80", HostPort{"localhost", 8080}, {HostPort{"a", 80}}},
      {"tcp/8080", "a:http", HostPort{"localhost", 8080}, {HostPort{"a", 80}}},
      {"0", "a:80", HostPort{"localhost", 0}, {HostPort{"a", 80}}},
      {":8080", "a:80", HostPort{"*", 8080}, {HostPort{"a", 80}}},
      {"*:8080", "a:80", HostPort{"*", 8080}, {HostPort{"a", 80}}},
      {"[::1]:8080", "[2001:db8::1]:80", HostPort{"::1", 8080}, {HostPort{"2001:db8::1", 80}}},
      {"UDP/127.0.0.2:53", "dns:53", HostPort{"127.0.0.2", 53}, {HostPort{"dns", 53}}, 1, Transport::udp},
      {"8000-8010", "a:9000-9010", HostPort{"localhost", 8000}, {HostPort{"a", 9000}}, 11},
      {"80",
       "a:80,b:81,/run/c",
       HostPort{"localhost", 80},
       {HostPort{"a", 80}, HostPort{"b", 81}, UnixPath{"/run/c"}}},
      {"/run/x", "@y", UnixPath{"/run/x"}, {UnixPath{"@y"}}},
      {"@x", "a:80", UnixPath{"@x"}, {HostPort{"a", 80}}},
      {"1-65535", "a:1-65535", HostPort{"localhost", 1}, {HostPort{"a", 1}}, 65535},
  };
  for (const Row& row : rows) {
    const auto forwards = parse_mapping(row.listen, row.targets);
    ASSERT_TRUE(forwards) << row.listen << ": " << forwards.error().message;
    ASSERT_EQ(forwards->size(), 1u) << row.listen;
    EXPECT_EQ(forwards->front().listen.endpoint, row.at) << row.listen;
    EXPECT_EQ(forwards->front().targets, row.to) << row.listen;
    EXPECT_EQ(forwards->front().ports, row.ports) << row.listen;
    EXPECT_EQ(forwards->front().transport, row.transport) << row.listen;
  }
}

TEST(MappingSpec, BothTransportsAreTwoForwards) {
  const auto forwards = parse_mapping("tcp+udp/53", "dns:53");
  ASSERT_TRUE(forwards && forwards->size() == 2);
  EXPECT_EQ((*forwards)[0].transport, Transport::tcp);
  EXPECT_EQ((*forwards)[1].transport, Transport::udp);
}

TEST(MappingSpec, SaysWhatIsWrong) {
  struct Row {
    std::string_view listen, targets, message;
  };
  const Row rows[] = {
      {"8000-8010", "a:80", "\"8000-8010\" has 11 ports, and \"a:80\" has 1 port: a range maps one to one"},
      {"80-81", "a:80-81,b:80", "\"80-81\" has 2 ports, and \"b:80\" has 1 port: a range maps one to one"},
      {"8010-8000", "a:1-2", "the range \"8010-8000\" ends before it begins"},
      {"0-8", "a:1-9", "\"0\" is not a port (1 to 65535, or a service's name)"},
      {"80", "a:0", "\"a:0\": a target has no port 0"},
      {"80", "a", "\"a\": not host:port[-port], a /path or an @name (IPv6 in [brackets])"},
      {"80", "", "\"\": not host:port[-port], a /path or an @name (IPv6 in [brackets])"},
      {"80", "a:80,", "\"\": not host:port[-port], a /path or an @name (IPv6 in [brackets])"},
      {"a:b:c", "a:80",
       "\"a:b:c\": not [tcp/|udp/|tcp+udp/][bind:]port[-port], a /path or an @name (IPv6 in [brackets])"},
      {"udp//run/x", "a:80", "\"udp//run/x\": a Unix socket carries streams alone, not udp"},
      {"udp/80", "/run/x", "\"/run/x\": a Unix socket carries streams alone, not udp"},
      {"tcp+udp/0", "a:80", "\"tcp+udp/0\": port 0 would be another one for udp than for tcp"},
      {"80", "@", "\"@\": an abstract socket has a name: @name"},
      {"@", "a:80", "\"@\": an abstract socket has a name: @name"},
      {"sctp/80", "a:80", "\"sctp/80\" is not a port (0 to 65535, or a service's name)"},
      {"80", "a b:80", "the host name \"a b\" contains \" \""},
  };
  for (const Row& row : rows) {
    const auto forwards = parse_mapping(row.listen, row.targets);
    ASSERT_FALSE(forwards) << row.listen;
    EXPECT_EQ(forwards.error().message, row.message);
  }
}

TEST(MappingSpec, TargetsAlone) {
  EXPECT_EQ(*parse_targets("a:80"), std::vector<Endpoint>{(HostPort{"a", 80})});
  EXPECT_EQ(*parse_targets("a:80,[::1]:81,/run/c"),
            (std::vector<Endpoint>{HostPort{"a", 80}, HostPort{"::1", 81}, UnixPath{"/run/c"}}));
  for (const std::string_view text : {"", "a:80,", ",a:80", "-"})
    EXPECT_TRUE(parse_targets(text).error().message.ends_with(" (IPv6 in [brackets])")) << text;
  EXPECT_EQ(parse_targets("a:80,@").error().message, "\"@\": an abstract socket has a name: @name");
  EXPECT_EQ(parse_targets("a:80,b:80-81").error().message, "\"b:80-81\": a range has no place here");
}

TEST(MappingSpec, FindsOverlaps) {
  struct Row {
    std::string_view a, b, message;  // empty: they do not overlap
  };
  const Row rows[] = {
      {"80", "80", "two forwards listen at tcp port 80"},
      {"8000-8010", "*:8010-8020", "two forwards listen at tcp port 8010"},
      {"udp/1.2.3.4:8000-8010", "udp/1.2.3.4:8005-8006", "two forwards listen at udp port 8005"},
      {"/run/x", "/run/x", "two forwards listen at /run/x"},
      {"80", "81", ""},
      {"tcp/80", "udp/80", ""},
      {"1.2.3.4:80", "1.2.3.5:80", ""},
      {"0", "0", ""},
      {"/run/x", "80", ""},
      {"65535", "65534", ""},
  };
  for (const Row& row : rows) {
    std::vector<DirectForward> forwards;
    for (const std::string_view listen : {row.a, row.b}) {
      const std::string_view targets = listen.contains("8000-")   ? "t:8000-8010"
                                       : listen.contains("8010-") ? "t:8010-8020"
                                       : listen.contains("8005-") ? "t:8005-8006"
                                                                  : "t:80";
      auto one = parse_mapping(listen, targets);
      ASSERT_TRUE(one) << one.error().message;
      forwards.push_back(one->front());
    }
    const auto checked = check_overlaps(forwards);
    EXPECT_EQ(checked ? "" : checked.error().message, row.message) << row.a << " " << row.b;
  }
}

}  // namespace
}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
// TLS clients in memory, and whoever takes their streams.
#include "engine/relay/sni_source.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/relay/target_group.hpp"
#include "tests/support/client_hellos.hpp"
#include "tests/support/hearing_harness.hpp"

namespace culvert::relay {
namespace {

using namespace std::string_literals;
using testing::kHelloWithName;  // db.example.org
using testing::kHelloWithoutName;
using testing::receive_all;
using testing::run;
using testing::start;

const std::string kUnrecognizedName = "\x15\x03\x01\x00\x02\x02\x70"s;
const std::string kMissingExtension = "\x15\x03\x01\x00\x02\x02\x6d"s;
const std::string kDecodeError = "\x15\x03\x01\x00\x02\x02\x32"s;

SniRoutes::Route target(std::uint16_t number) { return {HostPort{"10.0.0.1", number}}; }

std::string found(const SniRoutes& routes, std::optional<std::string> name) {
  const auto* route = routes.find(name);
  return route == nullptr ? "" : to_string(route->destination);
}

TEST(SniRoutes, TheClosestOneCounts) {
  SniRoutes routes;
  EXPECT_TRUE(routes.add("db.example.org", target(1)));
  EXPECT_TRUE(routes.add("*.Example.ORG", target(2)));
  EXPECT_TRUE(routes.add("*.deep.example.org", target(3)));
  EXPECT_EQ(found(routes, "db.example.org"), "10.0.0.1:1");
  EXPECT_EQ(found(routes, "web.example.org"), "10.0.0.1:2");
  EXPECT_EQ(found(routes, "a.db.example.org"), "10.0.0.1:2");
  EXPECT_EQ(found(routes, "a.b.deep.example.org"), "10.0.0.1:3");
  EXPECT_EQ(found(routes, "deep.example.org"), "10.0.0.1:2");
  for (const std::string name : {"example.org", "notexample.org", "org", "db.example.org.net"})
    EXPECT_EQ(found(routes, name), "") << name;
  EXPECT_EQ(found(routes, std::nullopt), "");
  EXPECT_TRUE(routes.add("*", target(4)));
  EXPECT_EQ(found(routes, "example.org"), "10.0.0.1:4");
  EXPECT_EQ(found(routes, std::nullopt), "10.0.0.1:4");
  EXPECT_EQ(found(routes, "db.example.org"), "10.0.0.1:1");
}

TEST(SniRoutes, NamesAreNamesOfHosts) {
  SniRoutes routes;
  for (const std::string name :
       {"", ".", "*.", "**", "*a", "a.*", "a b", "192.0.2.1", "db.example.org.", "*.a."})
    EXPECT_EQ(routes.add(name, target(1)).error().message,
              "\"" + name + "\" is no server name like db.example.org, *.example.org or *");
  EXPECT_TRUE(routes.add("a.example", target(1)));
  EXPECT_EQ(
      routes.add("A.example", target(2)).error().message,
      "the server name A.example is given twice: several targets stand together, with commas between them");
}

class SniSourceTest : public testing::HearingHarness {
 protected:
  void make(std::initializer_list<std::string_view> names, SniSourceOptions options = {}) {
    SniRoutes routes;
    for (std::uint16_t number = 1; const std::string_view name : names)
      EXPECT_TRUE(routes.add(name, target(number++)));
    source = std::make_unique<SniSource>(make_inner(), std::move(routes), options);
  }
};

TEST_F(SniSourceTest, GoesWhereTheNameSaysAndNothingIsConsumed) {
  make({"db.example.org", "*"});
  for (const std::size_t read_size : {1, 7, 300, 1000}) {
    for (const auto& [hello, number] : {std::pair{kHelloWithName, 1}, {kHelloWithoutName, 2}}) {
      auto client = connect({.read_size = read_size, .view_size = 50});
      send(*client, hello + "early data", true);
      auto pending = next();
      EXPECT_EQ(pending->destination(), target(static_cast<std::uint16_t>(number)).destination);
      EXPECT_FALSE(pending->targets());
      EXPECT_EQ(to_string(pending->origin()), "127.0.0.1:40000");
      const auto stream = pending->accept();
      const auto received = run(context, receive_all(*stream));
      EXPECT_EQ(received.bytes, hello + "early data");
      EXPECT_FALSE(received.error);
    }
  }
}

TEST_F(SniSourceTest, WhatIsNoNameIsAmongTheOthers) {
  for (const std::string name :
       {"a.example.org.", "198.51.100.123", "2001:db8::1:23", "\xc3\xa4.example.org"}) {
    std::string hello = kHelloWithName;
    hello.replace(hello.find("Db.Example.org"), name.size(), name);
    make({"example.org", "*.example.org", "*"});
    auto client = connect();
    send(*client, hello);
    EXPECT_EQ(next()->destination(), target(3).destination) << name;

    make({"example.org", "*.example.org"});
    auto taking = start(context, source->next());
    auto refused = connect();
    send(*refused, hello);
    EXPECT_EQ(run(context, receive_all(*refused)).bytes, kUnrecognizedName) << name;
  }
}

TEST_F(SniSourceTest, ANameMayHaveSeveralTargets) {
  const auto group = TargetGroup::make({HostPort{"10.0.0.1", 1}, HostPort{"10.0.0.2", 1}}, {}, nullptr);
  SniRoutes routes;
  ASSERT_TRUE(routes.add("db.example.org", {group->target(0), group}));
  ASSERT_TRUE(routes.add("*", target(3)));
  source = std::make_unique<SniSource>(make_inner(), std::move(routes));
  for (const std::string& hello : {kHelloWithName, kHelloWithoutName}) {
    auto client = connect();
    send(*client, hello);
    auto pending = next();
    const bool is_named = hello == kHelloWithName;
    EXPECT_EQ(pending->destination(), is_named ? group->target(0) : target(3).destination);
    EXPECT_EQ(pending->targets(), is_named ? group : nullptr);
  }
}

TEST_F(SniSourceTest, RefusalsAreToldInTheWordsOfTls) {
  make({"web.example.org"});
  auto taking = start(context, source->next());
  const std::string malformed = kHelloWithName.substr(0, 9) + std::string(400, '\xff');
  for (const auto& [hello, answer] : {std::pair{kHelloWithName, kUnrecognizedName},
                                      {kHelloWithoutName, kMissingExtension},
                                      {malformed, kDecodeError}}) {
    auto client = connect();
    send(*client, hello);
    const auto received = run(context, receive_all(*client));
    EXPECT_EQ(received.bytes, answer);
    EXPECT_FALSE(received.error);
  }
  EXPECT_FALSE(taking.done());
}

TEST_F(SniSourceTest, WhatIsNoTlsIsReset) {
  make({"*"});
  auto taking = start(context, source->next());
  auto client = connect();
  send(*client, "GET / HTTP/1.1\r\n");
  const auto received = run(context, receive_all(*client));
  EXPECT_EQ(received.bytes, "");
  EXPECT_EQ(received.error->code, Errc::reset);
  auto deaf = connect({.capacity = 3});
  send(*deaf, "\x16\x03\x01\0\0"s);
  EXPECT_EQ(run(context, receive_all(*deaf)).error->code, Errc::reset);
  auto gone = connect();
  send(*gone, kHelloWithName.substr(0, 100), true);
  EXPECT_FALSE(run(context, receive_all(*gone)).error);
  EXPECT_FALSE(taking.done());
}

TEST_F(SniSourceTest, ASilentOneHoldsUpNoOtherAndIsCutOff) {
  make({"*"}, {.patience = std::chrono::milliseconds(300)});
  auto silent = connect();
  auto taking = start(context, source->next());
  settle();
  auto client = connect();
  send(*client, kHelloWithName);
  EXPECT_TRUE(taking.wait());
  EXPECT_EQ(run(context, receive_all(*silent)).bytes, "");
}

}  // namespace
}  // namespace culvert::relay

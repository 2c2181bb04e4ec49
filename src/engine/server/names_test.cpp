// SPDX-License-Identifier: Apache-2.0
#include "engine/server/names.hpp"

#include <map>

#include <gtest/gtest.h>

namespace culvert::server {
namespace {

std::map<std::string, std::string> shown(const LogFields& fields) {
  std::map<std::string, std::string> all;
  for (const auto& [name, value] : fields.all())
    std::visit([&](const auto& one) { all[name] = fmt::format("{}", one); }, value);
  return all;
}

template <class T>
std::map<std::string, std::string> fields_of_a(const T& name) {
  LogFields fields;
  add_fields(fields, name);
  return shown(fields);
}

using Shown = std::map<std::string, std::string>;

TEST(ClientName, IsAnAddressAndThenAUser) {
  ClientName name("2001:db8::7", 51234);
  EXPECT_EQ(fmt::format("{}", name), "[2001:db8::7]:51234");
  EXPECT_EQ(fields_of_a(name), (Shown{{"source_address", "2001:db8::7"}, {"source_port", "51234"}}));
  name.logged_in("alice", "SHA256:x");
  EXPECT_EQ(fmt::format("{}", name), "alice@[2001:db8::7]:51234");
  EXPECT_EQ(name.place(), "[2001:db8::7]:51234");
  EXPECT_EQ(fields_of_a(name), (Shown{{"source_address", "2001:db8::7"},
                                      {"source_port", "51234"},
                                      {"user", "alice"},
                                      {"fingerprint", "SHA256:x"}}));
}

TEST(StreamName, OfADirectStream) {
  const StreamName name{ClientName("192.0.2.7", 51234), Direction::direct,
                        relay::HostPort{"ev\x1bil\xff", 5432}, relay::HostPort{"::1", 4}};
  EXPECT_EQ(fmt::format("{}", name), "192.0.2.7:51234 -> ev\\x1bil\\xff:5432");
  EXPECT_EQ(fields_of_a(name), (Shown{{"source_address", "192.0.2.7"},
                                      {"source_port", "51234"},
                                      {"direction", "direct"},
                                      {"destination_host", "ev\\x1bil\\xff"},
                                      {"destination_port", "5432"},
                                      {"origin_host", "::1"},
                                      {"origin_port", "4"}}));
}

TEST(StreamName, OfAForwardedStream) {
  const StreamName name{ClientName("192.0.2.7", 51234), Direction::forwarded, relay::UnixPath{"/run/\n"},
                        relay::UnixPath{}};
  EXPECT_EQ(fmt::format("{}", name), "192.0.2.7:51234 <- unix socket");
  EXPECT_EQ(fields_of_a(name), (Shown{{"source_address", "192.0.2.7"},
                                      {"source_port", "51234"},
                                      {"direction", "forwarded"},
                                      {"destination_path", "/run/\\x0a"}}));
}

}  // namespace
}  // namespace culvert::server

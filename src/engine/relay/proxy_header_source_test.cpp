// SPDX-License-Identifier: Apache-2.0
// Proxies and strangers in memory, and whoever takes the streams that they bring.
#include "engine/relay/proxy_header_source.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/hearing_harness.hpp"

namespace culvert::relay {
namespace {

using namespace std::string_literals;
using testing::MemoryStream;
using testing::receive_all;
using testing::run;
using testing::start;

const std::string kLine = "PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n";
const std::string kStart = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string kBlock = kStart + "\x21\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x01\x9c\x40\x01\xbb"s;

class ProxyHeaderSourceTest : public testing::HearingHarness {
 protected:
  void make(ProxyHeaderSourceOptions options = {}) {
    if (options.trusted.empty()) options.trusted = {*IpNetwork::parse("127.0.0.0/8")};
    source = std::make_unique<ProxyHeaderSource>(make_inner(), std::move(options));
  }
  std::unique_ptr<MemoryStream> connect_from(std::string host) {
    return connect(KnownVisit(HostPort{std::move(host), 7}, HostPort{"10.0.0.1", 8443}));
  }
};

TEST_F(ProxyHeaderSourceTest, TakesTheVisitFromTheHeader) {
  make();
  for (const std::string& header : {kLine, kBlock}) {
    for (const std::size_t read_size : {1, 3, 1000}) {
      auto client = connect({.read_size = read_size, .view_size = 2});
      send(*client, header + "early data", true);
      auto pending = next();
      EXPECT_EQ(pending->origin(), Endpoint(HostPort{"203.0.113.9", 40000}));
      EXPECT_EQ(pending->connected_to(), Endpoint(HostPort{"192.0.2.1", 443}));
      EXPECT_FALSE(pending->destination());
      EXPECT_EQ(pending->negotiation(), nullptr);
      const auto stream = pending->accept();
      const auto received = run(context, receive_all(*stream));
      EXPECT_EQ(received.bytes, "early data");
      EXPECT_FALSE(received.error);
    }
  }
}

TEST_F(ProxyHeaderSourceTest, WithoutAddressesItIsTheProxysOwnVisit) {
  make();
  for (const std::string& header :
       {"PROXY UNKNOWN\r\n"s, kStart + "\x20\0\0\0"s, kStart + "\x21\0\0\0"s, kStart + "\x20\x11\0\x01x"s}) {
    auto proxy = connect_from("127.0.0.1");
    send(*proxy, header + "?");
    auto pending = next();
    EXPECT_EQ(pending->origin(), Endpoint(HostPort{"127.0.0.1", 7}));
    EXPECT_EQ(pending->connected_to(), Endpoint(HostPort{"10.0.0.1", 8443}));
    EXPECT_EQ(run(context, receive_all(*pending->accept(), 1)).bytes, "?");
  }
}

TEST_F(ProxyHeaderSourceTest, StrangersAreRefusedWhateverTheySay) {
  make();
  auto taking = start(context, source->next());
  for (const std::string host : {"192.0.2.7", "128.0.0.1", "::1", "2001:db8::1", "localhost", ""}) {
    auto stranger = connect_from(host);
    EXPECT_EQ(run(context, receive_all(*stranger)).error->code, Errc::reset) << host;
  }
  auto over_unix = connect(KnownVisit(UnixPath{}));
  EXPECT_EQ(run(context, receive_all(*over_unix)).error->code, Errc::reset);
  EXPECT_FALSE(taking.done());
}

TEST_F(ProxyHeaderSourceTest, WhoIsTrusted) {
  make({.trusted = {*IpNetwork::parse("10.1.0.0/16"), *IpNetwork::parse("::ffff:192.0.2.0/120"),
                    *IpNetwork::parse("fe80::/10")},
        .trusts_unix_sockets = true});
  for (const std::string host : {"10.1.2.3", "::ffff:10.1.2.3", "192.0.2.9", "fe80::1%eth0"}) {
    auto proxy = connect_from(host);
    send(*proxy, kLine);
    EXPECT_EQ(to_string(next()->origin()), "203.0.113.9:40000") << host;
  }
  auto over_unix = connect(KnownVisit(UnixPath{}));
  send(*over_unix, kLine);
  EXPECT_EQ(to_string(next()->origin()), "203.0.113.9:40000");
}

TEST_F(ProxyHeaderSourceTest, ATrustedOneWithoutAHeaderIsRefused) {
  make();
  auto taking = start(context, source->next());
  for (const std::string& text : {"GET / HTTP/1.1\r\n"s, "PROXY TCP4 x\r\n"s, "\x16\x03\x01"s}) {
    auto proxy = connect();
    send(*proxy, text);
    EXPECT_EQ(run(context, receive_all(*proxy)).error->code, Errc::reset);
  }
  for (const std::string& text : {""s, kLine.substr(0, 20)}) {
    auto proxy = connect();
    send(*proxy, text, true);
    EXPECT_FALSE(run(context, receive_all(*proxy)).error);
  }
  EXPECT_FALSE(taking.done());
}

TEST_F(ProxyHeaderSourceTest, ASilentOneHoldsUpNoOtherAndIsCutOff) {
  make({.patience = std::chrono::milliseconds(300)});
  auto silent = connect();
  auto taking = start(context, source->next());
  settle();
  auto proxy = connect();
  send(*proxy, kLine);
  EXPECT_TRUE(taking.wait());
  EXPECT_EQ(run(context, receive_all(*silent)).bytes, "");
}

TEST_F(ProxyHeaderSourceTest, ManySilentOnesDoNotKeepOthersOut) {
  make({.patience = std::chrono::hours(1), .limit = 5});
  auto taking = start(context, source->next());
  std::vector<std::unique_ptr<MemoryStream>> silent;
  for (int i = 0; i < 20; ++i) silent.push_back(connect());
  settle();
  EXPECT_EQ(run(context, receive_all(*silent.front())).error->code, Errc::reset);
  auto proxy = connect();
  send(*proxy, kLine);
  EXPECT_TRUE(taking.wait());
}

TEST_F(ProxyHeaderSourceTest, RefusingIsAReset) {
  make();
  for (const bool dropped : {true, false}) {
    auto proxy = connect();
    send(*proxy, kLine);
    auto pending = next();
    if (dropped) {
      pending.reset();
    } else {
      pending->refuse(Refusal::connection_refused);
    }
    EXPECT_EQ(run(context, receive_all(*proxy)).error->code, Errc::reset);
  }
}

}  // namespace
}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#include "load/route.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace culvert::load {
namespace {

using Bytes = std::vector<std::uint8_t>;

const Bytes kMethod{5, 0};
const Bytes kConnected{5, 0, 0, 1, 0, 0, 0, 0, 0, 0};
const Bytes kRefused{5, 5, 0, 1, 0, 0, 0, 0, 0, 0};

TEST(Route, AsksAProxyAsRfc1928Has) {
  const Route route = socks_route(parse_address("127.0.0.1:1080"), parse_address("10.1.2.3:258"));
  ASSERT_EQ(route.greeting.size(), 2u);
  EXPECT_EQ(route.greeting[0].words, (Bytes{5, 1, 0}));
  EXPECT_EQ(route.greeting[1].words, (Bytes{5, 1, 0, 1, 10, 1, 2, 3, 1, 2}));
  const Route six = socks_route(parse_address("127.0.0.1:1080"), parse_address("[::1]:258"));
  EXPECT_EQ(six.greeting[1].words, (Bytes{5, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2}));
}

TEST(Route, TakesOnlyAGoodAnswer) {
  const Route route = socks_route(parse_address("127.0.0.1:1080"), parse_address("10.1.2.3:80"));
  EXPECT_TRUE(route.greeting[0].accepts(kMethod));
  EXPECT_FALSE(route.greeting[0].accepts(Bytes{5, 0xff}));
  EXPECT_FALSE(route.greeting[0].accepts(Bytes{5}));
  EXPECT_TRUE(route.greeting[1].accepts(kConnected));
  EXPECT_FALSE(route.greeting[1].accepts(kRefused));
}

/// A proxy that answers one client, byte for byte what it is expected to ask.
TEST(Route, IsOpenOnceTheProxyHasAgreed) {
  const Fd listener = listen_on(parse_address("127.0.0.1:0"));
  const Address proxy = parse_address("127.0.0.1:" + std::to_string(port_of(listener.get())));
  const Route route = socks_route(proxy, parse_address("10.1.2.3:80"));
  Epoll epoll;
  epoll.add(listener.get(), EPOLLIN);
  std::thread server([&] {
    if (epoll.wait(after(20)).empty()) return;
    const Fd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const Bytes* answers[] = {&kMethod, &kConnected};
    for (std::size_t i = 0; i < 2; ++i) {
      Bytes asked(route.greeting[i].words.size());
      if (!receive_all(client.get(), asked) || asked != route.greeting[i].words) return;
      if (!send_all(client.get(), *answers[i])) return;
    }
    const Bytes beyond{'x'};
    EXPECT_TRUE(send_all(client.get(), beyond));
  });
  const Fd fd = connect_along(route, 20);
  Bytes beyond(1);
  EXPECT_TRUE(receive_all(fd.get(), beyond));
  EXPECT_EQ(beyond, Bytes{'x'});
  server.join();
}

}  // namespace
}  // namespace culvert::load

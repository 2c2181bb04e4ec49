// SPDX-License-Identifier: Apache-2.0
#include "net/connect.hpp"

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <vector>

#include <unistd.h>

#include <gtest/gtest.h>

#include "net/listener.hpp"
#include "net/unique_fd.hpp"
#include "net/unix_address.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/silent_target.hpp"

namespace culvert::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using testing::run;
using testing::SilentTarget;
using testing::start;

tcp::endpoint at(const char* address, std::uint16_t port) { return {asio::ip::make_address(address), port}; }

/// A port where nobody listens: bound, so that nobody else gets it, and not listening.
struct RefusingTarget {
  explicit RefusingTarget(asio::io_context& context) : socket(context, at("127.0.0.1", 0)) {}
  [[nodiscard]] tcp::endpoint endpoint() const { return socket.local_endpoint(); }
  tcp::socket socket;
};

TEST(Connect, AlternatesTheFamilies) {
  const auto order =
      interleave_families({at("::1", 1), at("::2", 2), at("::3", 3), at("127.0.0.1", 4), at("127.0.0.2", 5)});
  const std::vector<tcp::endpoint> expected = {at("::1", 1), at("127.0.0.1", 4), at("::2", 2),
                                               at("127.0.0.2", 5), at("::3", 3)};
  EXPECT_EQ(order, expected);
  EXPECT_TRUE(interleave_families({}).empty());
}

TEST(Connect, SaysWhyItFailed) {
  asio::io_context context;
  RefusingTarget nobody(context);
  const auto refused = run(context, connect_tcp({nobody.endpoint()}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "Connection refused");
  EXPECT_EQ(refused.error().code, Errc::system);
  EXPECT_EQ(refused.error().detail, ECONNREFUSED);

  const auto none = run(context, connect_tcp({}));
  ASSERT_FALSE(none);
}

TEST(Connect, GoesOnToTheNextAddressAtOnceWhenOneRefuses) {
  asio::io_context context;
  RefusingTarget nobody(context);
  auto listener = Listener::listen_tcp(context.get_executor(), at("127.0.0.1", 0));
  ASSERT_TRUE(listener);
  ConnectOptions options;
  options.stagger = std::chrono::hours(1);
  const auto connected =
      run(context, connect_tcp({nobody.endpoint(), at("127.0.0.1", listener->port())}, options));
  ASSERT_TRUE(connected) << connected.error().message;
}

TEST(Connect, StartsBesideASilentAddress) {
  asio::io_context context;
  SilentTarget silent;
  auto listener = Listener::listen_tcp(context.get_executor(), at("127.0.0.1", 0));
  ASSERT_TRUE(listener);
  ConnectOptions options;
  options.stagger = std::chrono::milliseconds(20);
  auto connected = run(context, connect_tcp({silent.endpoint(), at("127.0.0.1", listener->port())}, options));
  ASSERT_TRUE(connected) << connected.error().message;
  EXPECT_EQ(peer_endpoint(connected->native_handle())->port(), listener->port());
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST(Connect, HasFewAttemptsAtOnceHoweverManyAddressesThereAre) {
  asio::io_context context;
  SilentTarget silent;
  ConnectOptions options;
  options.attempt_timeout = std::chrono::milliseconds(50);
  options.stagger = Duration::zero();
  const auto descriptors_for = [&](std::vector<tcp::endpoint> addresses) {
    auto connecting = start(context, connect_tcp(std::move(addresses), options));
    context.restart();
    context.run_for(std::chrono::milliseconds(20));
    const std::size_t count = open_descriptors();
    EXPECT_EQ(connecting.wait().error().code, Errc::timed_out);
    return count;
  };
  const std::vector<tcp::endpoint> silent_ones(12, silent.endpoint());
  const std::size_t for_one = descriptors_for({silent.endpoint()});
  EXPECT_EQ(descriptors_for(silent_ones), for_one + 7);
  // Those that were given up make room for the others.
  auto listener = Listener::listen_tcp(context.get_executor(), at("127.0.0.1", 0));
  ASSERT_TRUE(listener);
  auto addresses = silent_ones;
  addresses.push_back(at("127.0.0.1", listener->port()));
  EXPECT_TRUE(run(context, connect_tcp(addresses, options)));
}

TEST(Connect, TriesSoManyAddressesAndNoMore) {
  asio::io_context context;
  RefusingTarget nobody(context);
  auto listener = Listener::listen_tcp(context.get_executor(), at("127.0.0.1", 0));
  ASSERT_TRUE(listener);
  for (const std::size_t refusing : {31, 32}) {
    std::vector<tcp::endpoint> addresses(refusing, nobody.endpoint());
    addresses.push_back(at("127.0.0.1", listener->port()));
    EXPECT_EQ(run(context, connect_tcp(addresses)).has_value(), refusing < 32) << refusing;
  }
}

TEST(Connect, GivesUpOnEachAddressInTime) {
  asio::io_context context;
  SilentTarget silent;
  SilentTarget also_silent;
  ConnectOptions options;
  options.attempt_timeout = std::chrono::milliseconds(50);
  options.stagger = std::chrono::milliseconds(5);
  const auto late = run(context, connect_tcp({silent.endpoint(), also_silent.endpoint()}, options));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Errc::timed_out);
  EXPECT_EQ(late.error().message, "Connection timed out");

  // The cause that says most is told, whichever came last.
  RefusingTarget nobody(context);
  const auto refused = run(context, connect_tcp({nobody.endpoint(), silent.endpoint()}, options));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "Connection refused");
}

TEST(Connect, ObeysCancellation) {
  asio::io_context context;
  SilentTarget silent;
  auto connecting = start(context, connect_tcp({silent.endpoint()}));
  context.run_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(connecting.done());
  connecting.cancel();
  const auto result = connecting.wait();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::cancelled);
}

TEST(Connect, EndsWithItsContext) {
  SilentTarget silent;
  asio::io_context context;
  auto connecting = start(context, connect_tcp({silent.endpoint(), silent.endpoint()}));
  context.run_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(connecting.done());
}

TEST(Connect, BindsAndPassesOverTheOtherFamily) {
  asio::io_context context;
  auto listener = Listener::listen_tcp(context.get_executor(), at("127.0.0.1", 0));
  ASSERT_TRUE(listener);
  ConnectOptions options;
  options.bind_addresses = {asio::ip::make_address("127.0.0.5"), asio::ip::make_address("127.0.0.6")};
  options.liveness.keepalive = true;
  auto connected =
      run(context, connect_tcp({at("::1", listener->port()), at("127.0.0.1", listener->port())}, options));
  ASSERT_TRUE(connected) << connected.error().message;
  EXPECT_EQ(local_endpoint(connected->native_handle())->address(), options.bind_addresses[0]);

  options.bind_addresses = {asio::ip::make_address("::1"), asio::ip::make_address("192.0.2.77")};
  const auto failed = run(context, connect_tcp({at("127.0.0.1", listener->port())}, options));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "Cannot assign requested address");
}

/// A port that nobody has now, and nobody is given soon.
std::uint16_t free_port(asio::io_context& context, const char* address) {
  return tcp::socket(context, at(address, 0)).local_endpoint().port();
}

TEST(Connect, ConnectsFromOnePortToManyButOnceToEach) {
  asio::io_context context;
  auto one = Listener::listen_tcp(context.get_executor(), at("127.0.0.1", 0));
  auto other = Listener::listen_tcp(context.get_executor(), at("127.0.0.1", 0));
  ASSERT_TRUE(one && other);
  ConnectOptions options;
  options.bind_addresses = {asio::ip::make_address("127.0.0.2")};
  options.bind_port = free_port(context, "127.0.0.2");
  for (int round = 0; round < 3; ++round) {
    auto first = run(context, connect_tcp({at("127.0.0.1", one->port())}, options));
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_EQ(local_endpoint(first->native_handle()), at("127.0.0.2", options.bind_port));
    auto second = run(context, connect_tcp({at("127.0.0.1", other->port())}, options));
    ASSERT_TRUE(second) << second.error().message;
    const auto again = run(context, connect_tcp({at("127.0.0.1", one->port())}, options));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().detail, EADDRNOTAVAIL);
    // Without a reset one of them would wait in TIME-WAIT and hold the pair for a minute.
    for (auto* socket : {&*first, &*second}) ASSERT_TRUE(set_reset_on_close(socket->native_handle()));
  }
}

TEST(Connect, AddressesOfOthersTakeAPrivilege) {
  asio::io_context context;
  auto listener = Listener::listen_tcp(context.get_executor(), at("127.0.0.1", 0));
  ASSERT_TRUE(listener);
  ConnectOptions options;
  options.bind_addresses = {asio::ip::make_address("127.0.0.7")};  // ours, so that the answer comes back
  options.transparent = true;
  const auto may = may_be_transparent();
  auto connected = run(context, connect_tcp({at("127.0.0.1", listener->port())}, options));
  ASSERT_EQ(may.has_value(), connected.has_value());
  if (may) {
    EXPECT_EQ(local_endpoint(connected->native_handle())->address(), options.bind_addresses[0]);
    // An address that this machine has not can be bound.
    options.bind_addresses = {asio::ip::make_address("192.0.2.77")};
    options.attempt_timeout = std::chrono::milliseconds(50);
    const auto silent = run(context, connect_tcp({at("127.0.0.1", listener->port())}, options));
    EXPECT_NE(silent ? 0 : silent.error().detail, EADDRNOTAVAIL);
  } else {
    EXPECT_EQ(may.error().code, Errc::denied);
    EXPECT_NE(may.error().message.find("CAP_NET_ADMIN"), std::string::npos);
    EXPECT_EQ(connected.error().detail, EPERM);
  }
}

TEST(Connect, ReachesUnixSockets) {
  asio::io_context context;
  const std::string folder = ::testing::TempDir() + "culvert-connect-" + std::to_string(::getpid());
  std::filesystem::create_directory(folder);
  const std::string path = folder + "/s";
  {
    auto listener = Listener::listen_unix(context.get_executor(), path);
    ASSERT_TRUE(listener) << listener.error().message;
    auto connected = run(context, connect_unix(path));
    ASSERT_TRUE(connected) << connected.error().message;
    auto accepted = run(context, listener->accept());
    ASSERT_TRUE(accepted);
    EXPECT_EQ(try_write(connected->native_handle(), as_bytes("hello")).bytes, 5U);
    EXPECT_EQ(peer_text(connected->native_handle()), path);
  }
  {
    const UniqueFd full(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto address = UnixAddress::make(path);
    ASSERT_EQ(::bind(full.get(), address->get(), address->size), 0);
    ASSERT_EQ(::listen(full.get(), 0), 0);
    ASSERT_TRUE(run(context, connect_unix(path, std::chrono::milliseconds(50))));  // the one that may wait
    const auto late = run(context, connect_unix(path, std::chrono::milliseconds(50)));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Errc::timed_out);
    std::filesystem::remove(path);
  }
  const auto gone = run(context, connect_unix(path));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().message, "No such file or directory");
  const auto too_long = run(context, connect_unix(std::string(108, 'x')));
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, Errc::usage);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/announced_socket.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "net/unique_fd.hpp"
#include "tests/support/run_task.hpp"

namespace culvert::relay {
namespace {

using namespace std::chrono_literals;
using testing::run;
using testing::start;

const std::string kHeaderLine = "PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n";

class AnnouncedSocketTest : public ::testing::Test {
 protected:
  AnnouncedSocketTest() {
    std::array<int, 2> ends = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), 0);
    proxy = net::UniqueFd(ends[0]);
    ours = *net::adopt(context.get_executor(), ends[1], AF_UNIX);
  }
  void say(std::string_view text) {
    EXPECT_EQ(::write(proxy.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  std::string failure(std::string_view text) {
    say(text);
    const auto taken = run(context, take_announced(std::move(*ours), 1h));
    return taken ? "none" : taken.error().message;
  }

  boost::asio::io_context context;
  net::UniqueFd proxy;
  std::optional<net::StreamSocket> ours;
};

TEST_F(AnnouncedSocketTest, ReadsTheHeaderAndNotOneByteMore) {
  say(kHeaderLine + "SSH-2.0-x");
  auto taken = run(context, take_announced(std::move(*ours), 1h));
  ASSERT_TRUE(taken) << taken.error().message;
  ASSERT_TRUE(taken->visit);
  EXPECT_EQ(taken->visit->origin(), Endpoint(HostPort{"203.0.113.9", 40000}));
  std::array<char, 32> rest = {};
  const ssize_t size = ::recv(taken->socket.native_handle(), rest.data(), rest.size(), MSG_DONTWAIT);
  EXPECT_EQ(std::string_view(rest.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))), "SSH-2.0-x");
}

TEST_F(AnnouncedSocketTest, WaitsForTheRestOfIt) {
  auto taking = start(context, take_announced(std::move(*ours), 1h));
  for (const char letter : kHeaderLine) {
    context.restart();
    context.poll();
    say({&letter, 1});
  }
  const auto taken = taking.wait();
  ASSERT_TRUE(taken) << taken.error().message;
  EXPECT_TRUE(taken->visit);
}

TEST_F(AnnouncedSocketTest, AHeaderMayHaveNoAddresses) {
  say("PROXY UNKNOWN\r\n");
  const auto taken = run(context, take_announced(std::move(*ours), 1h));
  ASSERT_TRUE(taken);
  EXPECT_FALSE(taken->visit);
}

TEST_F(AnnouncedSocketTest, NoHeader) { EXPECT_EQ(failure("SSH-2.0-x\r\n"), "not a PROXY protocol header"); }

TEST_F(AnnouncedSocketTest, TheEndBeforeIt) {
  say("PROXY ");
  proxy.reset();
  const auto taken = run(context, take_announced(std::move(*ours), 1h));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().message, "it ended without a PROXY protocol header");
}

TEST_F(AnnouncedSocketTest, NothingInTime) {
  say("PROXY ");
  const auto taken = run(context, take_announced(std::move(*ours), 10ms));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::timed_out);
}

TEST_F(AnnouncedSocketTest, ObeysCancellation) {
  auto taking = start(context, take_announced(std::move(*ours), 1h));
  context.restart();
  context.poll();
  taking.cancel();
  const auto taken = taking.wait();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Errc::cancelled);
  std::array<char, 1> byte = {};
  EXPECT_EQ(::read(proxy.get(), byte.data(), 1), 0) << "it is closed";
}

}  // namespace
}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#include "net/listener.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/log.hpp"
#include "net/connect.hpp"
#include "net/descriptor_relief.hpp"
#include "net/listen_error.hpp"
#include "net/readiness.hpp"
#include "net/unique_fd.hpp"
#include "net/unix_address.hpp"
#include "tests/support/run_task.hpp"

namespace culvert::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using testing::run;
using testing::start;

tcp::endpoint loopback(std::uint16_t port) { return {asio::ip::make_address("127.0.0.1"), port}; }

class ListenerTest : public ::testing::Test {
 protected:
  ListenerTest() { std::filesystem::create_directory(folder); }
  ~ListenerTest() override { std::filesystem::remove_all(folder); }

  asio::io_context context;
  const std::string folder = ::testing::TempDir() + "culvert-listener-" + std::to_string(::getpid());
};

mode_t mode_of(const std::string& path) {
  struct stat status = {};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0);
  return status.st_mode & 07777;
}

TEST_F(ListenerTest, RefusesAPortInUse) {
  auto first = Listener::listen_tcp(context.get_executor(), loopback(0));
  ASSERT_TRUE(first);
  EXPECT_NE(first->port(), 0);
  EXPECT_EQ(first->name(), "127.0.0.1:" + std::to_string(first->port()));
  const auto second = Listener::listen_tcp(context.get_executor(), loopback(first->port()));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "cannot listen on " + first->name() +
                                        ": address already in use (this culvert listens there already)");
  const auto all = Listener::listen_tcp(context.get_executor(), {tcp::v4(), first->port()});
  ASSERT_FALSE(all);
  EXPECT_TRUE(all.error().message.ends_with("(this culvert listens there already)")) << all.error().message;
  const auto port = first->port();
  first->close();
  EXPECT_TRUE(Listener::listen_tcp(context.get_executor(), loopback(port)));
}

TEST_F(ListenerTest, TellsItselfFromOtherPrograms) {
  const UniqueFd bound = *bind_tcp(loopback(0));
  const auto here = *local_endpoint(bound.get());
  const std::string others =
      fmt::format(": address already in use ('ss -tanp sport = :{}' shows by whom)", here.port());
  EXPECT_EQ(cannot_listen(here, EADDRINUSE).error().message, "cannot listen on " + to_text(here) + others)
      << "one that does not listen";
  ASSERT_EQ(::listen(bound.get(), 1), 0);
  const tcp::endpoint beside(asio::ip::make_address("127.0.0.2"), here.port());
  EXPECT_EQ(cannot_listen(beside, EADDRINUSE).error().message,
            "cannot listen on " + to_text(beside) + others);
  EXPECT_EQ(
      cannot_listen(here, EADDRINUSE).error().message,
      "cannot listen on " + to_text(here) + ": address already in use (this culvert listens there already)");
}

TEST_F(ListenerTest, ItsConnectionsInheritHowAGonePeerIsFoundOut) {
  auto listener = Listener::listen_tcp(context.get_executor(), loopback(0));
  ASSERT_TRUE(listener);
  ASSERT_TRUE(listener->set_liveness({.keepalive = true,
                                      .idle = std::chrono::seconds(40),
                                      .interval = std::chrono::seconds(9),
                                      .count = 4,
                                      .user_timeout = std::chrono::seconds(30)}));
  auto client = run(context, connect_tcp({loopback(listener->port())}));
  auto accepted = run(context, listener->accept());
  ASSERT_TRUE(client && accepted);
  const auto option = [&](int level, int name) {
    int value = 0;
    socklen_t length = sizeof value;
    EXPECT_EQ(::getsockopt(accepted->socket.native_handle(), level, name, &value, &length), 0);
    return value;
  };
  EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPIDLE), 40);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPINTVL), 9);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_KEEPCNT), 4);
  EXPECT_EQ(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 30'000);

  auto unix_listener = Listener::listen_unix(context.get_executor(), folder + "/s");
  ASSERT_TRUE(unix_listener);
  EXPECT_TRUE(unix_listener->set_liveness({.keepalive = true}));
}

TEST_F(ListenerTest, TakesBothFamiliesOnOnePort) {
  auto four = Listener::listen_tcp(context.get_executor(), loopback(0));
  ASSERT_TRUE(four);
  auto six = Listener::listen_tcp(context.get_executor(), {asio::ip::make_address("::1"), four->port()});
  ASSERT_TRUE(six) << six.error().message;
  EXPECT_EQ(six->name(), "[::1]:" + std::to_string(four->port()));
}

TEST_F(ListenerTest, ExplainsMissingRights) {
  Result<Listener> result = fail(Errc::usage, "not run");
  std::thread without_rights([&] {  // capabilities belong to a thread
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> none = {};
    ASSERT_EQ(::syscall(SYS_capset, &header, none.data()), 0);
    result = Listener::listen_tcp(context.get_executor(), loopback(81));
  });
  without_rights.join();
  if (result) GTEST_SKIP() << "this system lets everybody use low ports";
  EXPECT_EQ(result.error().message,
            "cannot listen on 127.0.0.1:81: permission denied (ports below 1024 need CAP_NET_BIND_SERVICE; "
            "try 8081)");
}

TEST_F(ListenerTest, ExplainsAnAddressThatIsNotHere) {
  const auto result =
      Listener::listen_tcp(context.get_executor(), {asio::ip::make_address("192.0.2.1"), 8080});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message,
            "cannot listen on 192.0.2.1:8080: no interface has this address ('ip address' shows those that "
            "there are)");
}

TEST_F(ListenerTest, MakesUnixSocketsForTheirOwnerAlone) {
  const std::string path = folder + "/s";
  {
    auto listener = Listener::listen_unix(context.get_executor(), path);
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_EQ(listener->name(), path);
    EXPECT_EQ(mode_of(path), 0600U);
    const auto second = Listener::listen_unix(context.get_executor(), path);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().message,
              "cannot listen on " + path + ": another program listens there ('ss -lxp' shows which)");
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));

  auto shared = Listener::listen_unix(context.get_executor(), path, {.unlink_existing = false, .mask = 0});
  ASSERT_TRUE(shared);
  EXPECT_EQ(mode_of(path), 0777U);  // the option decides, not the umask
}

TEST_F(ListenerTest, SaysWhatIsAtAPathThatItDoesNotReplace) {
  const std::string path = folder + "/s";
  const auto cause = [&](UnixListenOptions options) {
    const auto result = Listener::listen_unix(context.get_executor(), path, options);
    EXPECT_TRUE(std::filesystem::exists(path));
    return result ? "" : result.error().message.substr(("cannot listen on " + path + ": ").size());
  };
  const auto bound = [&](int type, bool listens) {
    std::filesystem::remove(path);
    UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    const auto address = UnixAddress::make(path);
    EXPECT_EQ(::bind(fd.get(), address->get(), address->size), 0);
    if (listens) EXPECT_EQ(::listen(fd.get(), 0), 0);
    return fd;
  };
  const std::string taken = "another program listens there ('ss -lxp' shows which)";
  {
    const auto full = bound(SOCK_STREAM, true);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(cause({.replace_dead = true}), taken) << i;  // EAGAIN at last
  }
  const auto dead =
      "the file exists already, and nobody listens there (remove it, or, for -L and -D, set "
      "StreamLocalBindUnlink=yes)";
  EXPECT_EQ(cause({}), dead);
  {
    const auto datagrams = bound(SOCK_DGRAM, false);
    EXPECT_EQ(cause({.replace_dead = true}), taken);
  }
  std::filesystem::remove(path);
  std::ofstream(path) << "precious";
  EXPECT_EQ(cause({.replace_dead = true}), "the file there is not a socket");
}

TEST_F(ListenerTest, ReplacesASocketIfAskedAndNothingElse) {
  const std::string path = folder + "/s";
  auto first = Listener::listen_unix(context.get_executor(), path);
  ASSERT_TRUE(first);
  auto second = Listener::listen_unix(context.get_executor(), path, {.unlink_existing = true, .mask = 0177});
  ASSERT_TRUE(second) << second.error().message;
  first->close();  // must leave the file of the second alone
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_TRUE(run(context, connect_unix(path)));
  second->close();
  second->close();
  EXPECT_FALSE(std::filesystem::exists(path));

  std::ofstream(path) << "precious";
  const auto third =
      Listener::listen_unix(context.get_executor(), path, {.unlink_existing = true, .mask = 0177});
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().message, "cannot listen on " + path + ": the file there is not a socket");
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(ListenerTest, ReplacesWhatAKilledProcessLeft) {
  const std::string path = folder + "/s";
  const UnixListenOptions options = {.replace_dead = true};
  auto first = Listener::listen_unix(context.get_executor(), path, options);
  ASSERT_TRUE(first);
  EXPECT_FALSE(Listener::listen_unix(context.get_executor(), path, options)) << "somebody listens there";
  std::filesystem::rename(path, path + ".left");
  first->close();
  std::filesystem::rename(path + ".left", path);  // nobody does
  EXPECT_FALSE(Listener::listen_unix(context.get_executor(), path)) << "not unless asked";
  auto second = Listener::listen_unix(context.get_executor(), path, options);
  ASSERT_TRUE(second) << second.error().message;
  second->close();

  std::ofstream(path) << "precious";
  EXPECT_FALSE(Listener::listen_unix(context.get_executor(), path, options));
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(ListenerTest, ChecksPaths) {
  const auto too_long = Listener::listen_unix(context.get_executor(), "/" + std::string(107, 'x'));
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, Errc::usage);
  const auto longest = folder + "/" + std::string(107 - folder.size() - 1, 'x');
  EXPECT_TRUE(Listener::listen_unix(context.get_executor(), longest));
  const auto nowhere = Listener::listen_unix(context.get_executor(), folder + "/no/such");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().message, "cannot listen on " + folder + "/no/such: No such file or directory");
}

TEST_F(ListenerTest, StopsAWaitingAccept) {
  auto listener = Listener::listen_tcp(context.get_executor(), loopback(0));
  ASSERT_TRUE(listener);
  auto accepting = start(context, listener->accept());
  context.poll();
  listener->close();
  const auto result = accepting.wait();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::cancelled);

  auto other = Listener::listen_tcp(context.get_executor(), loopback(0));
  ASSERT_TRUE(other);
  auto again = start(context, other->accept());
  context.restart();
  context.poll();
  again.cancel();
  EXPECT_EQ(again.wait().error().code, Errc::cancelled);

  // The accept may outlive the object.
  auto left = start(context, other->accept());
  context.restart();
  context.poll();
  other = fail(Errc::closed, "gone");
  EXPECT_EQ(left.wait().error().code, Errc::cancelled);
}

TEST_F(ListenerTest, SurvivesALackOfDescriptors) {
#if __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP() << "this sanitizer opens a pipe to check an object's type, and takes a lack of descriptors "
                  "for a bad object";
#endif
  const std::string log_file = folder + "/log";
  ASSERT_TRUE(set_up_log(LogLevel::notice, log_file));
  auto listener = Listener::listen_tcp(context.get_executor(), loopback(0));
  ASSERT_TRUE(listener);
  UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = loopback(listener->port());
  ASSERT_EQ(::connect(client.get(), address.data(), static_cast<socklen_t>(address.size())), 0);

  ASSERT_TRUE(Readiness::of(context.get_executor()).serve_asio());  // has its descriptors by now
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  UniqueFd lowest_free(::dup(client.get()));
  const rlimit none_left = {static_cast<rlim_t>(lowest_free.get()), before.rlim_max};
  lowest_free.reset();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none_left), 0);
  auto accepting = start(context, listener->accept());
  context.run_for(std::chrono::milliseconds(350));  // several tries
  EXPECT_FALSE(accepting.done());
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(accepting.wait());

  ASSERT_TRUE(set_up_log(LogLevel::notice, ""));
  std::ifstream log(log_file);
  std::size_t lines = 0;
  for (std::string line; std::getline(log, line);) {
    ++lines;
    EXPECT_NE(line.find(listener->name() + ": cannot take more connections for now: Too many open files"),
              std::string::npos)
        << line;
  }
  EXPECT_EQ(lines, 1U);
}

TEST_F(ListenerTest, TakesDescriptorsBackBeforeItPauses) {
#if __has_feature(undefined_behavior_sanitizer)
  GTEST_SKIP() << "this sanitizer opens a pipe to check an object's type, and takes a lack of descriptors "
                  "for a bad object";
#endif
  struct Holder final : DescriptorHolder {
    [[nodiscard]] std::size_t held_descriptors() const override { return held ? 1 : 0; }
    void give_up_oldest() override { held.reset(); }
    UniqueFd held;
  } holder;
  auto listener = Listener::listen_tcp(context.get_executor(), loopback(0));
  ASSERT_TRUE(listener);
  UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto address = loopback(listener->port());
  ASSERT_EQ(::connect(client.get(), address.data(), static_cast<socklen_t>(address.size())), 0);
  DescriptorRelief::of(context.get_executor()).add(holder);
  holder.held = UniqueFd(::dup(client.get()));

  ASSERT_TRUE(Readiness::of(context.get_executor()).serve_asio());  // has its descriptors by now
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none_left = {static_cast<rlim_t>(holder.held.get()) + 1, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none_left), 0);
  auto accepting = start(context, listener->accept());
  context.poll();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(accepting.done());
  EXPECT_FALSE(holder.held);
}

TEST_F(ListenerTest, AcceptsWhatWasReset) {
  auto listener = Listener::listen_tcp(context.get_executor(), loopback(0));
  ASSERT_TRUE(listener);
  for (int i = 0; i < 20; ++i) {
    auto gone = run(context, connect_tcp({loopback(listener->port())}));
    ASSERT_TRUE(gone);
    ASSERT_TRUE(set_reset_on_close(gone->native_handle()));
    gone->close();
  }
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(run(context, listener->accept()));
}

}  // namespace
}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#include "daemon/service_manager.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <gtest/gtest.h>

#include "tests/support/datagram_ear.hpp"
#include "tests/support/temp_dir.hpp"

namespace culvert::daemon {
namespace {

using culvert::testing::DatagramEar;

class ServiceManagerTest : public ::testing::Test {
 protected:
  ServiceManagerTest() { forget(); }
  ~ServiceManagerTest() override { forget(); }

  static void forget() {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
  }

  static ServiceManager with(const std::string& socket) {
    ::setenv("NOTIFY_SOCKET", socket.c_str(), 1);
    auto manager = ServiceManager::from_environment();
    EXPECT_TRUE(manager) << manager.error().message;
    return manager ? std::move(*manager) : ServiceManager();
  }

  std::optional<Duration> watchdog(const std::string& time, const std::string& process = "") {
    ::setenv("WATCHDOG_USEC", time.c_str(), 1);
    if (!process.empty()) ::setenv("WATCHDOG_PID", process.c_str(), 1);
    return with(path_).watchdog_interval();
  }

  culvert::testing::TempDir folder_;
  std::string path_ = folder_.path() / "notify";
};

TEST_F(ServiceManagerTest, HearsEveryStepAtAPath) {
  DatagramEar ear(path_);
  ServiceManager manager = with(path_);
  manager.status("logging in");
  EXPECT_EQ(ear.hear(), "STATUS=logging in");
  manager.ready("2 forwards");
  EXPECT_EQ(ear.hear(), "READY=1\nSTATUS=2 forwards");
  manager.alive();
  EXPECT_EQ(ear.hear(), "WATCHDOG=1");
  manager.stopping("signal 15");
  EXPECT_EQ(ear.hear(), "STOPPING=1\nSTATUS=signal 15");
  EXPECT_EQ(ear.hear(), "(nothing)");
}

TEST_F(ServiceManagerTest, HearsAtAnAbstractName) {
  const std::string name = fmt::format("@culvert-test-{}", ::getpid());
  DatagramEar ear(name);
  with(name).ready("x");
  EXPECT_EQ(ear.hear(), "READY=1\nSTATUS=x");
}

TEST_F(ServiceManagerTest, AForkedChildNamesItself) {
  DatagramEar ear(path_);
  ServiceManager manager = with(path_);
  const pid_t child = ::fork();
  if (child == 0) {
    manager.ready("x");
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(ear.hear(), fmt::format("READY=1\nSTATUS=x\nMAINPID={}", child));
}

TEST_F(ServiceManagerTest, AStatusIsOneBoundedLine) {
  DatagramEar ear(path_);
  ServiceManager manager = with(path_);
  manager.status("a\nMAINPID=1");
  EXPECT_EQ(ear.hear(), "STATUS=a MAINPID=1");
  manager.status(std::string(1023, 'x') + "\u00e9" + std::string(5000, 'y'));
  EXPECT_EQ(ear.hear(), "STATUS=" + std::string(1023, 'x')) << "cut in the middle of a character";
}

TEST_F(ServiceManagerTest, TakesTheVariablesOutOfTheEnvironment) {
  ::setenv("WATCHDOG_USEC", "1000000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  (void)with(path_);
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) {
    EXPECT_EQ(std::getenv(name), nullptr) << name;
  }
}

TEST_F(ServiceManagerTest, SaysNothingToNobody) {
  auto silent = ServiceManager::from_environment();
  ASSERT_TRUE(silent);
  silent->ready("x");
  EXPECT_FALSE(silent->watchdog_interval());
  with(path_).ready("nobody listens there");
}

TEST_F(ServiceManagerTest, AJammedManagerIsNotWaitedForWithStatusLines) {
  DatagramEar ear(path_);
  ServiceManager manager = with(path_);
  for (int i = 0; i < 10'000; ++i) manager.status("more than its queue holds");
  EXPECT_EQ(ear.hear(), "STATUS=more than its queue holds");
}

TEST_F(ServiceManagerTest, RefusesOtherAddresses) {
  for (const std::string& name : {std::string("vsock:2:1"), std::string("notify"), std::string("@"),
                                  std::string("/"), "/" + std::string(107, 'x')}) {
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    const auto manager = ServiceManager::from_environment();
    ASSERT_FALSE(manager) << name;
    EXPECT_TRUE(manager.error().message.starts_with("NOTIFY_SOCKET: ")) << manager.error().message;
  }
}

TEST_F(ServiceManagerTest, TheWatchdogWantsHalfItsTimeFromTheProcessItNames) {
  EXPECT_EQ(watchdog("3000000"), std::chrono::milliseconds(1500));
  EXPECT_EQ(watchdog("3000000", std::to_string(::getpid())), std::chrono::milliseconds(1500));
  EXPECT_FALSE(watchdog("3000000", std::to_string(::getppid())));
  for (const char* text : {"0", "1", "-5", "soon", "", "3000000s", "99999999999999999999"}) {
    EXPECT_FALSE(watchdog(text)) << text;
  }
}

}  // namespace
}  // namespace culvert::daemon

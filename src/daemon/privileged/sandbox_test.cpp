// SPDX-License-Identifier: Apache-2.0
#include "daemon/privileged/sandbox.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <thread>

#include <gtest/gtest.h>

#include "daemon/privileged/process_account.hpp"

namespace culvert::daemon {
namespace {

// In a process of its own, which tells what went wrong.
template <class Checks>
void in_sandbox(Sandboxed who, Checks checks) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        if (!refuse_new_privileges() || !enter_sandbox(who)) ::_exit(77);
        const char* wrong = checks();
        if (wrong != nullptr) ::dprintf(2, "%s, errno %d\n", wrong, errno);
        ::_exit(wrong == nullptr ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "");
}

bool refused(long result) { return result == -1 && errno == EPERM; }

TEST(SandboxDeathTest, WhatForwardingNeedsStillWorks) {
  in_sandbox(Sandboxed::forwarder, []() -> const char* {
    int number = 0;
    std::thread([&] { number = 1; }).join();
    if (number != 1) return "threads";
    addrinfo* found = nullptr;
    if (::getaddrinfo("localhost", "22", nullptr, &found) != 0) return "names";
    ::freeaddrinfo(found);
    for (const int family : {AF_INET, AF_INET6, AF_UNIX}) {
      if (::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 && errno != EAFNOSUPPORT) return "sockets";
    }
    if (::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0) < 0) return "datagrams";
    if (::open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0) return "files";
    return nullptr;
  });
}

TEST(SandboxDeathTest, TheRestIsRefused) {
  in_sandbox(Sandboxed::forwarder, []() -> const char* {
    char* const words[] = {nullptr};
    if (!refused(::execve("/bin/true", words, words))) return "programs";
    if (!refused(::socket(AF_PACKET, SOCK_RAW, 0))) return "packet sockets";
    if (!refused(::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP))) return "raw sockets";
    if (!refused(::socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6))) return "raw sockets of IPv6";
    if (!refused(::rename("/nowhere/a", "/nowhere/b"))) return "renaming";
    if (!refused(::kill(::getppid(), 0))) return "signals";
    const auto map = [](int rights) {
      return ::mmap(nullptr, 4096, rights, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    };
#if !defined(__has_feature)
#define __has_feature(x) 0
#endif
#if !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
    for (const int rights : {PROT_READ | PROT_WRITE | PROT_EXEC, PROT_READ | PROT_EXEC})
      if (!refused(reinterpret_cast<long>(map(rights)))) return "code that is in no file";
    if (!refused(::mprotect(map(PROT_READ | PROT_WRITE), 4096, PROT_READ | PROT_EXEC)))
      return "code that was written";
    if (!refused(::fork())) return "processes";
    if (!refused(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr))) return "tracing";
    const rlimit limit = {1, 1};
    if (!refused(::setrlimit(RLIMIT_CPU, &limit))) return "limits";
#else
    (void)map;
#endif
    return nullptr;
  });
}

TEST(SandboxDeathTest, AHelperReadsAndBindsAndChangesNothing) {
  in_sandbox(Sandboxed::helper, []() -> const char* {
    if (::open("/etc/passwd", O_RDONLY | O_CLOEXEC | O_NONBLOCK) < 0) return "files";
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in any = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
    const auto* const address = reinterpret_cast<const sockaddr*>(&any);
    if (::bind(socket, address, sizeof any) != 0) return "ports";
    if (!refused(::listen(socket, 1))) return "listening";
    if (!refused(::connect(socket, address, sizeof any))) return "connecting";
    for (const int flags : {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC})
      if (!refused(::open("/dev/null", flags | O_CLOEXEC))) return "files to write";
    if (!refused(::open("/tmp/culvert-sandbox-test", O_RDONLY | O_CREAT | O_CLOEXEC, 0600)))
      return "new files";
    if (!refused(::unlink("/nowhere"))) return "removing files";
    if (!refused(::chmod("/nowhere", 0))) return "changing modes";
    return nullptr;
  });
}

}  // namespace
}  // namespace culvert::daemon

// SPDX-License-Identifier: Apache-2.0
#include "daemon/privileged/sandbox.hpp"

#include <fcntl.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <linux/sched.h>
#include <linux/sockios.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "daemon/privileged/process_account.hpp"
#include "net/socket_families.hpp"

namespace culvert::daemon {
namespace {

using Filter = std::unique_ptr<void, decltype(&::seccomp_release)>;

// By name: a system call that this architecture does not have is passed over.
constexpr std::string_view kAllowed[] = {
    // Streams, and waiting for them.
    "read readv recvfrom recvmsg recvmmsg write writev sendto sendmsg sendmmsg splice shutdown close "
    "close_range sched_yield poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait epoll_pwait "
    "epoll_pwait2 eventfd2 timerfd_create timerfd_settime timerfd_gettime pipe2 dup dup2 dup3 fcntl",
    // Sockets; which ones: see below.
    "bind getsockname getpeername getsockopt setsockopt",
    // Files of keys and rules, and those of the resolver.
    "stat fstat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat getcwd lseek "
    "pread64 getdents64 statfs fstatfs fadvise64",
    // Memory, threads, time.
    "brk munmap mremap madvise mlock munlock futex futex_waitv set_robust_list set_tid_address rseq "
    "sched_yield sched_getaffinity membarrier restart_syscall exit exit_group clock_gettime "
    "clock_getres clock_nanosleep nanosleep gettimeofday time getrandom",
    // Signals, to itself alone as far as its rights go; and its helper's end.
    "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigtimedwait rt_sigpending sigaltstack tgkill wait4 "
    "waitid",
    // What it is.
    "getpid getppid gettid getuid geteuid getgid getegid getgroups uname sysinfo getrusage getrlimit "
    "getcpu capget",
};
constexpr std::string_view kAllowedForForwarders =
    "listen accept accept4 connect "
    // The log, what was used of quotas, and Unix sockets to listen at.
    "open openat pwrite64 unlink unlinkat umask chmod fchmod fchmodat fsync fdatasync";

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CULVERT_SANITIZED 1
#endif
#endif
// LeakSanitizer looks through its own process from another one.
#ifdef CULVERT_SANITIZED
constexpr std::string_view kAllowedForSanitizers =
    "clone clone3 mmap mprotect personality prctl prlimit64 process_vm_readv ptrace sched_setaffinity "
    "setrlimit";
#else
constexpr std::string_view kAllowedForSanitizers;
#endif

class Rules {
 public:
  explicit Rules(scmp_filter_ctx filter) : filter_(filter) {}

  void allow_all(std::string_view names) {
    while (!names.empty()) {
      const auto end = std::min(names.find(' '), names.size());
      allow(std::string(names.substr(0, end)).c_str(), {});
      names.remove_prefix(std::min(end + 1, names.size()));
    }
  }
  // All of the conditions hold; a second call for the same name is another way to be allowed.
  void allow(const char* name, std::initializer_list<scmp_arg_cmp> conditions) {
    add(SCMP_ACT_ALLOW, name, conditions);
  }
  void answer(const char* name, int error) { add(SCMP_ACT_ERRNO(static_cast<unsigned>(error)), name, {}); }
  [[nodiscard]] int error() const { return error_; }

 private:
  void add(std::uint32_t action, const char* name, std::initializer_list<scmp_arg_cmp> conditions) {
    const int number = ::seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR || error_ != 0) return;
    const int added = ::seccomp_rule_add_array(filter_, action, number,
                                               static_cast<unsigned>(conditions.size()), conditions.begin());
    if (added != -EEXIST) error_ = added;  // allowed already
  }

  scmp_filter_ctx filter_;
  int error_ = 0;
};

scmp_arg_cmp equals(unsigned argument, std::uint64_t value) { return {argument, SCMP_CMP_EQ, value, 0}; }
scmp_arg_cmp has_type(unsigned argument, int type) {
  constexpr std::uint64_t kTypes = 0xF;  // SOCK_TYPE_MASK of the kernel
  return {argument, SCMP_CMP_MASKED_EQ, kTypes, static_cast<std::uint64_t>(type)};
}
scmp_arg_cmp has_none_of(unsigned argument, std::uint64_t bits) {
  return {argument, SCMP_CMP_MASKED_EQ, bits, 0};
}
scmp_arg_cmp has_all_of(unsigned argument, std::uint64_t bits) {
  return {argument, SCMP_CMP_MASKED_EQ, bits, bits};
}

void add_rules(Rules& rules, Sandboxed who) {
  for (const std::string_view names : kAllowed) rules.allow_all(names);
  if (who == Sandboxed::forwarder) {
    rules.allow_all(kAllowedForForwarders);
  } else {
    constexpr auto kChanges = static_cast<std::uint64_t>(O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND);
    rules.allow("open", {has_none_of(1, kChanges)});
    rules.allow("openat", {has_none_of(2, kChanges)});
  }
  rules.allow_all(kAllowedForSanitizers);
  for (const int family : net::kSocketFamilies) {
    const auto of_family = equals(0, static_cast<std::uint64_t>(family));
    rules.allow("socketpair", {of_family});
    if (family == AF_INET ||
        family == AF_INET6) {  // none that are raw: CAP_NET_RAW may be kept for other things
      for (const int type : {SOCK_STREAM, SOCK_DGRAM}) rules.allow("socket", {of_family, has_type(1, type)});
    } else {
      rules.allow("socket", {of_family});
    }
  }
  // Libraries of the resolver are loaded when the first name is looked up: what is executable comes from a
  // file as it is, and no memory becomes so that could be written before. A file of its own could hold code.
  for (const char* name : {"mmap", "mprotect"}) rules.allow(name, {has_none_of(2, PROT_EXEC)});
  rules.allow("mmap", {has_none_of(2, PROT_WRITE), has_none_of(3, MAP_ANONYMOUS)});
  // Threads, and no processes. The flags of clone3 cannot be seen: without it the C library takes clone.
  rules.allow("clone", {has_all_of(0, CLONE_THREAD | CLONE_VM)});
#ifndef CULVERT_SANITIZED
  rules.answer("clone3", ENOSYS);
#endif
  for (const int option : {PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_GET_DUMPABLE})
    rules.allow("prctl", {equals(0, static_cast<std::uint64_t>(option))});
  for (const unsigned long request :
       {static_cast<unsigned long>(FIONBIO), static_cast<unsigned long>(FIONREAD),
        static_cast<unsigned long>(SIOCOUTQ), static_cast<unsigned long>(TCGETS),
        static_cast<unsigned long>(TIOCGWINSZ), static_cast<unsigned long>(SIOCGIFNAME),
        static_cast<unsigned long>(SIOCGIFINDEX)})
    rules.allow("ioctl", {equals(1, request)});
  // Limits are read, not set.
  rules.allow("prlimit64", {equals(2, 0)});
}

}  // namespace

Result<void> enter_sandbox(Sandboxed who) {
  const Filter filter(::seccomp_init(SCMP_ACT_ERRNO(EPERM)), &::seccomp_release);
  if (!filter) return fail(Errc::system, "cannot make a filter of system calls");
  // A tree instead of a list: each call passes through it. (The kernel remembers those without conditions.)
  (void)::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  Rules rules(filter.get());
  add_rules(rules, who);
  if (rules.error() != 0) return fail_errno("cannot make a filter of system calls", -rules.error());
  (void)::seccomp_attr_set(filter.get(), SCMP_FLTATR_API_SYSRAWRC, 1);
  const int loaded = ::seccomp_load(filter.get());
  if (loaded != 0) {
    return fail(Errc::unsupported,
                fmt::format("the kernel takes no filter of system calls: {}", std::strerror(-loaded)));
  }
  return {};
}

Result<std::string> confine(Sandboxed who, bool with_sandbox) {
  TRY(refuse_new_privileges());
  if (!with_sandbox) return "";
  auto entered = enter_sandbox(who);
  if (entered) return "";
  if (entered.error().code != Errc::unsupported) return std::unexpected(std::move(entered).error());
  return std::move(entered).error().message;
}

}  // namespace culvert::daemon

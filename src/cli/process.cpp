// SPDX-License-Identifier: Apache-2.0
#include "cli/process.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/inherited.hpp"

namespace culvert::cli {
namespace {

// LeakSanitizer traces its own process, which needs a dumpable one.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kMayHideMemory = false;
#else
constexpr bool kMayHideMemory = true;
#endif
#else
constexpr bool kMayHideMemory = true;
#endif

constexpr int kTrimThreshold = 256 * 1024;
constexpr int kMmapThreshold = 1024 * 1024;

void raise_limit(int resource, bool to_zero) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) return;
  limit.rlim_cur = to_zero ? 0 : limit.rlim_max;
  ::setrlimit(static_cast<__rlimit_resource>(resource), &limit);
}

// A file or socket that got the number 2 would receive our error lines.
void open_standard_descriptors() {
  int fd = ::open("/dev/null", O_RDWR);
  while (fd >= 0 && fd < 2) fd = ::dup(fd);
  if (fd > 2) ::close(fd);
}

void replace_with_null(int first, int last) {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return;
  for (int fd = first; fd <= last; ++fd) ::dup2(null, fd);
  if (null > 2) ::close(null);
}

}  // namespace

void prepare_process(std::span<const std::string_view> arguments) {
  open_standard_descriptors();
  close_inherited(arguments);
  ::umask(077);
  if (kMayHideMemory) ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  raise_limit(RLIMIT_CORE, true);
  raise_limit(RLIMIT_NOFILE, false);
  ::signal(SIGPIPE, SIG_IGN);
  // The work is done on one thread, unless there are more (net::WorkerThreads); the resolver's threads
  // would each cost a heap. Fixed thresholds, or one large buffer that is freed would let the heap keep as
  // much for ever.
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_TRIM_THRESHOLD, kTrimThreshold);
  ::mallopt(M_MMAP_THRESHOLD, kMmapThreshold);
}

void drop_standard_input() { replace_with_null(0, 0); }
void drop_standard_streams() { replace_with_null(0, 2); }

}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
#include "files/small_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

namespace culvert::files {
namespace {

std::unexpected<Error> cause(int error) {
  return fail(error == ENOENT ? Errc::not_found : Errc::system, std::strerror(error), error);
}

std::unexpected<Error> too_large(std::size_t limit) {
  return fail(Errc::limit, limit < 1 << 20 ? fmt::format("larger than {} KiB", limit >> 10)
                                           : fmt::format("larger than {} MiB", limit >> 20));
}

constexpr int kPatience = 10'000;  // ms, for bytes of a pipe or a terminal

// After EAGAIN. An interruption is no reason to wait anew: who wants us to end should not have to ask twice.
Result<void> wait_for_bytes(int descriptor) {
  pollfd entry{.fd = descriptor, .events = POLLIN, .revents = 0};
  if (::poll(&entry, 1, kPatience) > 0) return {};
  return fail(Errc::timed_out, "nothing comes from it");
}

Result<SmallFile> read_all(int descriptor, std::size_t limit) {
  SmallFile file{};
  if (::fstat(descriptor, &file.status) != 0) return cause(errno);
  if (S_ISDIR(file.status.st_mode)) return cause(EISDIR);
  const bool waits = (::fcntl(descriptor, F_GETFL) & O_NONBLOCK) == 0;
  // One more than its size shows the end at the first read; a pipe has no size.
  const auto expected = static_cast<std::size_t>(std::max<off_t>(file.status.st_size, 0));
  file.content = SecretBytes(std::min(expected, limit) + 1);
  for (std::size_t length = 0;;) {
    const ssize_t got = ::read(descriptor, file.content.data() + length, file.content.size() - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      TRY(wait_for_bytes(descriptor));
      continue;
    }
    if (got < 0) return cause(errno);
    if (got == 0 && length == 0 && !waits && S_ISFIFO(file.status.st_mode))
      return fail(Errc::system, "it is a pipe, and nobody writes to it");
    length += static_cast<std::size_t>(got);
    if (length > limit) return too_large(limit);
    if (got != 0 && length < file.content.size()) continue;
    const ByteView so_far = file.content.view().first(length);
    if (got == 0) {
      file.content = SecretBytes(so_far);
      return file;
    }
    SecretBytes larger(std::min(length * 2, limit) + 1);
    std::ranges::copy(so_far, larger.data());
    file.content = std::move(larger);
  }
}

}  // namespace

int open_for_reading(const std::string& path) {
  return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

int open_without_waiting(const std::string& path) {
  return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

Result<SmallFile> read_small_file(const std::string& path, std::size_t limit, const FileOpener& open) {
  const int descriptor = open(path);
  if (descriptor < 0) return cause(errno);
  auto file = read_all(descriptor, limit);
  ::close(descriptor);
  return file;
}

}  // namespace culvert::files

// SPDX-License-Identifier: Apache-2.0
#include "files/known_hosts_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "files/known_hosts.hpp"
#include "files/text_file.hpp"

namespace culvert::files {
namespace {

class File {
 public:
  File(const std::string& path, int flags, mode_t mode = 0)
      : descriptor_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

std::unexpected<Error> failed(std::string_view verb, const std::string& path, int error) {
  return fail_errno(fmt::format("cannot {} {}", verb, path), error);
}

/// What is written to a pipe is gone when whoever reads it has gone.
Result<void> check_that_it_keeps(const std::string& path, int descriptor) {
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) return failed("look at", path, errno);
  if (S_ISFIFO(status.st_mode))
    return fail(Errc::system, fmt::format("cannot write to {}: it is a pipe, and keeps nothing", path));
  return {};
}

/// Only a plain file can have a last line (/dev/null cannot).
Result<bool> ends_in_half_a_line(const std::string& path, int descriptor) {
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) return failed("look at", path, errno);
  if (!S_ISREG(status.st_mode) || status.st_size == 0) return false;
  char last = 0;
  const ssize_t count = ::pread(descriptor, &last, 1, status.st_size - 1);
  if (count < 0) return failed("read", path, errno);
  return count == 1 && last != '\n';
}

/// Makes the folder of `path` if it is missing.
Result<void> make_folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == path.npos || slash == 0) return {};
  const std::string folder = path.substr(0, slash);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return failed("make folder", folder, errno);
  return {};
}

}  // namespace

Result<std::string> read_known_hosts(const std::string& path) {
  auto file = TRY(read_text_file(path, kMaxKnownHostsSize, open_without_waiting));
  return std::move(file.text);
}

Result<void> append_known_hosts(const std::string& path, std::string_view line) {
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) TRY(make_folder_of(path));
  const File file(path, O_RDWR | O_APPEND | O_CREAT | O_NOCTTY, 0600);
  if (!file.is_open()) return failed("open", path, errno);
  TRY(check_that_it_keeps(path, file.descriptor()));
  // Another culvert's line may be half written: it is no half line to complete. Where locks are not to be
  // had, the line is written all the same. Closing the file unlocks it.
  while (::flock(file.descriptor(), LOCK_EX) != 0 && errno == EINTR) {
  }
  std::string text = TRY(ends_in_half_a_line(path, file.descriptor())) ? "\n" : "";
  text += line;
  ssize_t written = -1;
  do {
    written = ::write(file.descriptor(), text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0) return failed("write to", path, errno);
  if (static_cast<std::size_t>(written) != text.size()) return failed("write to", path, ENOSPC);
  return {};
}

}  // namespace culvert::files

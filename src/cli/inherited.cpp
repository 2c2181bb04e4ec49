// SPDX-License-Identifier: Apache-2.0
#include "cli/inherited.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <set>

namespace culvert::cli {
namespace {

constexpr unsigned kFirst = STDERR_FILENO + 1;
constexpr unsigned kTriedByHand = 4096;  // where the kernel has no close_range(): before Linux 5.9

void close_all(unsigned first, unsigned last) {
  if (first > last || ::close_range(first, last, 0) == 0) return;
  for (unsigned fd = first; fd <= last && fd < kTriedByHand; ++fd) ::close(static_cast<int>(fd));
}

bool is_open(unsigned fd) { return ::fcntl(static_cast<int>(fd), F_GETFD) >= 0; }

void find_named(std::string_view argument, std::string_view folder, std::set<unsigned>& named) {
  for (auto at = argument.find(folder); at != std::string_view::npos; at = argument.find(folder)) {
    argument.remove_prefix(at + folder.size());
    unsigned fd = 0;
    const auto read = std::from_chars(argument.data(), argument.data() + argument.size(), fd);
    if (read.ec == std::errc{} && fd >= kFirst && fd < ~0U && is_open(fd)) named.insert(fd);
  }
}

}  // namespace

void close_inherited(std::span<const std::string_view> arguments) {
  std::set<unsigned> named;
  for (const std::string_view argument : arguments) {
    for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"}) find_named(argument, folder, named);
  }
  unsigned next = kFirst;
  for (const unsigned fd : named) {
    if (fd > next) close_all(next, fd - 1);
    ::fcntl(static_cast<int>(fd), F_SETFD, FD_CLOEXEC);
    next = fd + 1;
  }
  close_all(next, ~0U);
}

}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
#include "files/text_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

#include "base/text.hpp"

namespace culvert::files {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  [[nodiscard]] int value() const { return value_; }

 private:
  int value_;
};

}  // namespace

int open_for_reading(const std::string& path) {
  return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

Result<TextFile> read_text_file(const std::string& path, std::size_t max_size, const FileOpener& open) {
  const Descriptor file(open(path));
  const std::string name = printable(path);
  if (file.value() < 0) {
    if (errno == ENOENT) return fail(Errc::not_found, fmt::format("{} does not exist", name));
    return fail_errno("cannot open " + name, errno);
  }
  TextFile out{};
  if (::fstat(file.value(), &out.status) != 0) return fail_errno("cannot look at " + name, errno);
  while (out.text.size() <= max_size) {
    char chunk[64 * 1024];
    const ssize_t count = ::read(file.value(), chunk, sizeof chunk);
    if (count == 0) return out;
    if (count > 0) {
      out.text.append(chunk, static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      return fail_errno("cannot read " + name, errno);
    }
  }
  return fail(Errc::limit, fmt::format("{}: larger than {} MiB", name, max_size >> 20));
}

}  // namespace culvert::files

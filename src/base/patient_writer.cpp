// SPDX-License-Identifier: Apache-2.0
#include "base/patient_writer.hpp"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

namespace culvert {
namespace {

enum class Reader : std::uint8_t { takes, stalls };

Reader wait_for_reader(int fd, Instant deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - monotonic_now());
    pollfd asked = {fd, POLLOUT, 0};
    const int ready = ::poll(&asked, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    if (ready > 0) return Reader::takes;  // or it is gone, which write() says
    if (ready == 0) return Reader::stalls;
    if (errno != EINTR) return Reader::takes;
  }
}

/// A terminal that takes one byte says that it takes some, and waits with the two of a line's end. Opened
/// anew it does not wait, and does for those who share the descriptor. Negative where that is not allowed.
int open_terminal_anew(int fd) {
  return ::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/// Does not wait after poll() has said that the reader takes some: a pipe has a page free then.
ssize_t write_some(int fd, std::string_view bytes) {
  const int terminal = ::isatty(fd) == 1 ? open_terminal_anew(fd) : -1;
  if (terminal < 0) return ::write(fd, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
  const ssize_t written = ::write(terminal, bytes.data(), bytes.size());
  const int error = errno;
  ::close(terminal);
  errno = error;
  return written;
}

}  // namespace

PatientWriter::PatientWriter(int fd, Tell tell, Duration patience)
    : fd_(fd), tell_(std::move(tell)), patience_(patience) {}

PatientWriter::~PatientWriter() { (void)catch_up(monotonic_now()); }

void PatientWriter::write(std::string_view line, Weight weight) {
  const bool waits = !stalled_ || weight == Weight::important;
  const Instant deadline = monotonic_now() + (waits ? patience_ : Duration::zero());
  if (!catch_up(deadline) || !put(line, deadline)) ++dropped_;
}

bool PatientWriter::catch_up(Instant deadline) {
  if (!flush(deadline)) return false;
  if (dropped_ > 0) {
    if (!put(tell_(dropped_), deadline)) return false;
    dropped_ = 0;
  }
  return true;
}

// False if nothing of the line was written.
bool PatientWriter::put(std::string_view line, Instant deadline) {
  if (!rest_.empty()) return false;
  rest_ = line;
  if (flush(deadline) || rest_.size() < line.size()) return true;
  rest_.clear();
  return false;
}

// True when nothing is left to be written.
bool PatientWriter::flush(Instant deadline) {
  std::size_t done = 0;
  while (done < rest_.size()) {
    if (wait_for_reader(fd_, deadline) == Reader::stalls) break;
    const ssize_t written = write_some(fd_, std::string_view(rest_).substr(done));
    if (written > 0) {
      done += static_cast<std::size_t>(written);
    } else if (written < 0 && errno != EINTR && errno != EAGAIN) {
      done = rest_.size();  // nobody will ever read it
    } else if (monotonic_now() >= deadline) {
      break;
    } else {
      (void)::poll(nullptr, 0, 1);
    }
  }
  rest_.erase(0, done);
  stalled_ = !rest_.empty();
  return !stalled_;
}

}  // namespace culvert

// SPDX-License-Identifier: Apache-2.0
#include "net/run.hpp"

#include <cerrno>
#include <optional>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "net/unique_fd.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

// Asio does not tell it. But an instance that watches a descriptor already answers EEXIST to who adds it.
std::optional<int> epoll_of(asio::io_context& context) {
  UniqueFd known(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!known) return std::nullopt;
  boost::system::error_code error;
  asio::posix::stream_descriptor watched(context);
  watched.assign(known.get(), error);
  if (error) return std::nullopt;
  const int descriptor = known.release();
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  for (int i = 0; static_cast<rlim_t>(i) < limit.rlim_cur; ++i) {
    epoll_event none = {};
    if (::epoll_ctl(i, EPOLL_CTL_ADD, descriptor, &none) == 0) {
      (void)::epoll_ctl(i, EPOLL_CTL_DEL, descriptor, &none);
    } else if (errno == EEXIST) {
      return i;
    }
  }
  return std::nullopt;
}

class Sleeps {
 public:
  explicit Sleeps(asio::io_context& context)
      : readiness_(Readiness::of(context.get_executor())), asio_(epoll_of(context)) {
    if (asio_ && !readiness_.begin_sleeps(*asio_)) asio_.reset();
  }
  Sleeps(const Sleeps&) = delete;
  Sleeps& operator=(const Sleeps&) = delete;
  ~Sleeps() {
    if (asio_) readiness_.end_sleeps(*asio_);
  }

  explicit operator bool() const { return asio_.has_value(); }
  Readiness* operator->() { return &readiness_; }

 private:
  Readiness& readiness_;
  std::optional<int> asio_;
};

}  // namespace

void run(asio::io_context& context) {
  Sleeps sleeps(context);
  if (!sleeps) {
    context.run();
    return;
  }
  for (;;) {
    sleeps->listen_for_wake();  // what is posted from here on is either run here, or ends the sleep
    context.poll();
    if (context.stopped()) return;
    sleeps->sleep();
  }
}

void stop_from_outside(asio::io_context& context) {
  context.stop();
  Readiness::of(context.get_executor()).wake();
}

}  // namespace culvert::net

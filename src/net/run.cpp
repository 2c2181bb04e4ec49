// SPDX-License-Identifier: Apache-2.0
#include "net/run.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

class Sleeps {
 public:
  explicit Sleeps(asio::io_context& context)
      : readiness_(Readiness::of(context.get_executor())), have_begun_(readiness_.begin_sleeps()) {}
  Sleeps(const Sleeps&) = delete;
  Sleeps& operator=(const Sleeps&) = delete;
  ~Sleeps() {
    if (have_begun_) readiness_.end_sleeps();
  }

  explicit operator bool() const { return have_begun_; }
  Readiness* operator->() { return &readiness_; }

 private:
  Readiness& readiness_;
  const bool have_begun_;
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

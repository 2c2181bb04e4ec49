// SPDX-License-Identifier: Apache-2.0
// A path between two network namespaces with a delay and a rate (netem is not everywhere): a TUN device in
// each, and one thread a direction that moves packets from one to the other.
//
//     device -> queue before the narrow place (bounded, the newest is dropped) -> rate -> delay -> other
//     device
//
// Every packet's time of arrival is known when it comes, so one ring in order of arrival holds both stages.
#include <fmt/core.h>
#include <poll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <thread>

#include "load/packet_ring.hpp"
#include "load/socket.hpp"
#include "load/tool.hpp"
#include "load/tun.hpp"

namespace culvert::load {
namespace {

constexpr std::size_t kRingSize = 256u << 20;
constexpr int kBatch = 64;

struct Path {
  Clock::duration delay;
  double bytes_per_second;  ///< 0: no limit
  double queue_bytes;       ///< before the narrow place; 0: no limit
};

class Direction {
 public:
  Direction(int from, int to, const Path& path, const Fd& stop)
      : from_(from), to_(to), path_(path), stop_(stop.get()), ring_(kRingSize, kMaxTunPacket) {}

  void run() {
    ::prctl(PR_SET_TIMERSLACK, 1000);  // nanoseconds; the default of 50 us would be added to each round trip
    for (;;) {
      const Clock::time_point now = Clock::now();
      deliver(now);
      if (!receive(now) && !sleep()) return;
    }
  }

 private:
  void deliver(Clock::time_point now) {
    for (int i = 0; i < kBatch && !ring_.empty() && ring_.front().due <= now; ++i) {
      const auto packet = ring_.packet();
      // A device that takes it no more (it is down) has lost it, as on any path.
      [[maybe_unused]] const ssize_t n = ::write(to_, packet.data(), packet.size());
      ring_.pop();
    }
  }

  /// True if there may be more to read at once.
  bool receive(Clock::time_point now) {
    for (int i = 0; i < kBatch; ++i) {
      if (ring_.full()) return false;  // what waits in the device is dropped there
      const auto room = ring_.room();
      const ssize_t n = ::read(from_, room.data(), room.size());
      if (n < 0) return false;
      queue(static_cast<std::size_t>(n), now);
    }
    return true;
  }

  void queue(std::size_t size, Clock::time_point now) {
    Clock::time_point leaves = now;
    if (path_.bytes_per_second > 0) {
      narrow_free_ = std::max(narrow_free_, now);
      const double waiting = Seconds(narrow_free_ - now).count() * path_.bytes_per_second;
      if (path_.queue_bytes > 0 && waiting + static_cast<double>(size) > path_.queue_bytes) return;
      narrow_free_ += std::chrono::duration_cast<Clock::duration>(
          Seconds(static_cast<double>(size) / path_.bytes_per_second));
      leaves = narrow_free_;
    }
    ring_.push(size, leaves + path_.delay);
  }

  /// Until something arrives or is due; false when it is time to end.
  bool sleep() {
    pollfd wait[2] = {{stop_, POLLIN, 0}, {from_, POLLIN, 0}};
    if (ring_.full()) wait[1].events = 0;
    timespec left{3600, 0};
    if (!ring_.empty()) {
      const auto until = std::max(ring_.front().due - Clock::now(), Clock::duration(0));
      left.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(until).count();
      left.tv_nsec = (until % std::chrono::seconds(1)).count();
    }
    if (::ppoll(wait, 2, &left, nullptr) < 0 && errno != EINTR) die_errno("ppoll");
    return wait[0].revents == 0;
  }

  int from_;
  int to_;
  Path path_;
  int stop_;
  PacketRing ring_;
  Clock::time_point narrow_free_{};  ///< when the narrow place has sent all that waits before it
};

}  // namespace

int link(Options& options) {
  const double delay_ms = options.real("delay-ms", 0);
  const double rate_mbit = options.real("rate-mbit", 0);
  const Path path{
      .delay = std::chrono::duration_cast<Clock::duration>(Seconds(delay_ms / 1e3)),
      .bytes_per_second = rate_mbit * 1e6 / 8,
      .queue_bytes = static_cast<double>(options.number("queue-bytes", 0)),
  };
  TunSettings near{
      .netns = options.text("near"), .name = "path0", .address = options.text("near-address", "10.99.0.1")};
  near.mtu = static_cast<int>(options.number("mtu", 1500));
  near.offload = !options.flag("no-offload");
  TunSettings far = near;
  far.netns = options.text("far");
  far.address = options.text("far-address", "10.99.0.2");
  options.finish();

  const Fd near_tun = open_tun(near);
  const Fd far_tun = open_tun(far);
  int stop[2];
  if (::pipe(stop) != 0) die_errno("pipe");
  const Fd stopped(stop[0]);
  Fd stopper(stop[1]);
  Direction out(near_tun.get(), far_tun.get(), path, stopped);
  Direction back(far_tun.get(), near_tun.get(), path, stopped);
  std::jthread out_thread([&] { out.run(); });
  std::jthread back_thread([&] { back.run(); });
  fmt::print("{{\"near\": \"{}\", \"far\": \"{}\"}}\n", near.address, far.address);
  std::fflush(stdout);
  char ignored[256];
  while (::read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
  }
  stopper.reset();  // both threads see the end of the pipe
  return 0;
}

}  // namespace culvert::load

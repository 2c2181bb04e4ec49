// SPDX-License-Identifier: Apache-2.0
#include "net/lingering_close.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <utility>

#include <sys/resource.h>
#include <sys/socket.h>

#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>
#include <boost/intrusive/list.hpp>

#include "net/descriptor_relief.hpp"
#include "net/socket.hpp"
#include "net/timer.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kHeardMost = 1024 * 1024;  // bytes
constexpr Duration kLook = std::chrono::milliseconds(20);

struct Closing : boost::intrusive::list_base_hook<> {
  virtual ~Closing() = default;
  virtual void close() = 0;  ///< leaves the list
};

/// All of one context, the oldest first.
class LingeringOnes final : public asio::execution_context::service, public DescriptorHolder {
 public:
  using key_type = LingeringOnes;
  static asio::execution_context::id id;

  explicit LingeringOnes(asio::execution_context& context) : service(context) {
    asio::use_service<DescriptorRelief>(context).add(*this);
  }
  [[nodiscard]] static LingeringOnes& of(const asio::any_io_executor& executor) {
    return asio::use_service<LingeringOnes>(asio::query(executor, asio::execution::context));
  }

  void add(Closing& one) {
    if (all_.size() >= most_) give_up_oldest();
    all_.push_back(one);
  }
  void remove(Closing& one) {
    if (one.is_linked()) all_.erase(all_.iterator_to(one));
  }

  [[nodiscard]] std::size_t held_descriptors() const override { return all_.size(); }
  void give_up_oldest() override { all_.front().close(); }

 private:
  void shutdown() override {}

  boost::intrusive::list<Closing> all_;
  const std::size_t most_ = most_lingering();
};

asio::execution_context::id LingeringOnes::id;

/// The audited place of style.md lesson 16 where something has no owner but its own handlers: both hold it,
/// both end within the time given.
struct Lingering : std::enable_shared_from_this<Lingering>, Closing {
  explicit Lingering(StreamSocket closing)
      : socket(std::move(closing)),
        deadline(socket.get_executor()),
        all(LingeringOnes::of(socket.get_executor())) {}
  ~Lingering() override { all.remove(*this); }

  void start(Duration time) {
    all.add(*this);
    end = monotonic_now() + time;
    deadline.expires_at(end);
    deadline.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (!error) self->close();
    });
    wait();
  }

  void wait() {
    socket.async_wait(StreamSocket::Direction::in, [self = shared_from_this()](bool is_ready) {
      if (!is_ready || !self->drain()) return self->close();
      if (self->heard >= kHeardMost) return self->wait_until_sent();
      self->wait();
    });
  }

  // Of a flood nothing more is read: its end would tell us nothing.
  void wait_until_sent() {
    if (is_sent()) return close();
    deadline.expires_at(std::min(end, monotonic_now() + kLook));
    deadline.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error) return;
      if (monotonic_now() >= self->end) return self->close();
      self->wait_until_sent();
    });
  }

  [[nodiscard]] bool is_sent() { return unsent(socket.native_handle()) == 0; }

  /// False once there is nothing to wait for. Bounded, so that a flood does not hold the thread.
  bool drain() {
    std::array<std::uint8_t, 16384> thrown_away;
    for (int i = 0; i < 16; ++i) {
      const auto read = socket.read(thrown_away);
      if (read.would_block()) return true;
      if (read.failed() || read.bytes == 0) return false;
      heard += read.bytes;
    }
    return true;
  }

  void close() override {
    all.remove(*this);
    deadline.cancel();
    socket.close();
  }

  StreamSocket socket;
  Timer deadline;
  Instant end;
  std::size_t heard = 0;  // bytes
  LingeringOnes& all;
};

}  // namespace

// Many that are far away may have to be waited for, and a descriptor that is needed is given back anyway.
std::size_t most_lingering() {
  constexpr rlim_t kMost = 4096;
  rlimit limit = {};
  (void)::getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<std::size_t>(std::max<rlim_t>(std::min(limit.rlim_cur / 4, kMost), 1));
}

void lingering_close(StreamSocket socket, Duration time) {
  if (!socket.is_open() || ::shutdown(socket.native_handle(), SHUT_WR) != 0) return;
  const auto lingering = std::make_shared<Lingering>(std::move(socket));
  if (lingering->drain()) lingering->start(time);
}

}  // namespace culvert::net

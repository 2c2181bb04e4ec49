// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <sys/epoll.h>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/intrusive/set.hpp>

#include "base/result.hpp"
#include "base/time.hpp"
#include "net/look_policy.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

/// Which sockets of one io_context can be read or written, and which moments have come. The kernel is told of
/// a socket once, edge-triggered, and what it answers is remembered until a read or write meets "not now": so
/// waiting costs no system call, where Asio's async_wait costs one each time. A moment (see Timer) is the end
/// of the sleep. An epoll instance of its own: the thread sleeps there (net::run(), in run.hpp), or, where
/// the context runs by its own run(), Asio watches it.
///
/// A service of the context (one for each, made by of()), and used on its one thread.
class Readiness final : public boost::asio::execution_context::service {
 public:
  using key_type = Readiness;
  static boost::asio::execution_context::id id;

  explicit Readiness(boost::asio::execution_context& context);  ///< an io_context; of() calls this
  ~Readiness() override;
  /// Of the io_context of `executor`.
  [[nodiscard]] static Readiness& of(const boost::asio::any_io_executor& executor);

  enum class Direction : std::uint8_t { in, out };

  /// Somebody who waits. One of the three is called, once, and it is forgotten before.
  class Waiter {
   public:
    virtual void ready() = 0;  ///< from the reactor; may add, remove and wait as it likes
    /// By cancel() or remove(), whose caller goes on behind it: nothing that others see may happen inside.
    virtual void cancelled() = 0;
    virtual void dropped() = 0;  ///< the io_context ends

   protected:
    ~Waiter() = default;
  };

  /// Who wants to know of a failure that nobody waits for.
  class FailureListener {
   public:
    /// From the reactor, once: the socket has an error (a reset, a time-out) and nobody waited for its bytes;
    /// its peer has not ended before. May remove the socket.
    virtual void socket_failed() = 0;

   protected:
    ~FailureListener() = default;
  };

  /// Somebody who waits for a moment. One of the two is called, once, and it is forgotten before.
  class Alarm : public boost::intrusive::set_base_hook<boost::intrusive::optimize_size<true>> {
   public:
    virtual void due() = 0;      ///< from the reactor; may wait again
    virtual void dropped() = 0;  ///< the io_context ends
    [[nodiscard]] bool is_set() const { return is_linked(); }

   protected:
    ~Alarm() = default;

   private:
    friend Readiness;
    friend bool operator<(const Alarm& a, const Alarm& b) { return a.at_ < b.at_; }
    Instant at_ = kNever;
  };

  /// A socket that is watched; a name that a later one never has.
  struct Watch {
    std::uint32_t index = 0;
    std::uint32_t generation = 0;  ///< 0: none
    bool operator==(const Watch&) const = default;
  };

  /// What short reads of it mean.
  enum class Kind : std::uint8_t { tcp, other };

  /// Errc::system: ENOSPC is the user's limit of watches, EMFILE that of descriptors. Ends by remove().
  [[nodiscard]] Result<Watch> add(int socket, Kind kind);
  /// The waiters are cancelled. Of a socket that is closed next; any number of times.
  void remove(Watch watch);
  /// The same of a socket that goes on elsewhere: the kernel forgets that it was watched here.
  void let_go(Watch watch);

  /// Whether trying is worth it, as far as is known. Not before the kernel has said so.
  [[nodiscard]] bool is_ready(Watch watch, Direction direction) const;
  /// Whether an end was seen that no error and no end of the other direction came with.
  [[nodiscard]] bool has_sent_end(Watch watch) const;
  /// Whether urgent bytes were seen (RFC 6093): a read ends before them, and splice() never passes them.
  [[nodiscard]] bool has_been_urgent(Watch watch) const;
  /// Whether an error was seen since the last call.
  [[nodiscard]] bool take_error_seen(Watch watch);
  /// `listener` until remove(), or until it is null.
  void set_failure_listener(Watch watch, FailureListener* listener);
  /// A try met "not now". Nothing may have been awaited in between.
  void drained(Watch watch, Direction direction);
  /// It is not ready until the kernel says so again, which it does if it is: one system call.
  [[nodiscard]] Result<void> ask_again(Watch watch, Direction direction);
  /// A read got `bytes` of `wanted`, both not 0; `wanted` is that as well where a short read says nothing.
  void read(Watch watch, std::size_t bytes, std::size_t wanted);
  /// Somebody moves a lot at a time.
  void in_bulk() { look_policy_.in_bulk(); }

  /// Until is_ready(). One in each direction; `waiter` stays until one of its functions is called. If it
  /// fails the waiter was not taken.
  [[nodiscard]] Result<void> wait(Watch watch, Direction direction, Waiter& waiter);
  /// `waiter` does not wait there any more, if it did, and is not told.
  void forget(Watch watch, Direction direction, const Waiter& waiter);
  /// If `waiter` waits there still, or whoever does if it is null.
  void cancel(Watch watch, Direction direction, const Waiter* waiter = nullptr);

  /// Until `at`, or for ever (kNever). `alarm` stays until one of its functions is called, or forget().
  void wait_until(Instant at, Alarm& alarm);
  /// `alarm` does not wait any more, if it did, and is not told.
  void forget(Alarm& alarm);

  /// Asio's own sockets or timers are used in this context: from here on net::run() hears of them, for two
  /// system calls more in each round. Before the first of them. Errc::system: no descriptors are left.
  [[nodiscard]] Result<void> serve_asio();

  /// Posts `handler` when those whose sockets are ready by now have been called; see yield().
  void post_behind_sockets(std::move_only_function<void()> handler);

  [[nodiscard]] const boost::asio::any_io_executor& executor() const { return executor_; }

  // For net::run().
  /// From now on sleep() is called. False: it cannot be, the context has to run by itself.
  [[nodiscard]] bool begin_sleeps();
  void end_sleeps();
  /// From now on wake() is heard.
  void listen_for_wake() { hears_wake_.store(true); }
  /// Until a socket is ready, a moment has come, Asio has something to do (serve_asio()) or wake() is called;
  /// calls those who wait, for the sockets first. At once if nobody waits any more, or if there are handlers
  /// to post behind them.
  ///
  /// Where that has been measured to pay (LookPolicy) it looks first, until kLook after the last one, and
  /// yields the processor meanwhile: waking a thread takes longer than a neighbour's answer.
  void sleep();
  /// From any thread: the sleep() after the last listen_for_wake() returns.
  void wake();

 private:
  struct ByAsio;
  struct Entry {
    std::uint32_t generation = 0;
    int socket = -1;
    Kind kind = Kind::tcp;
    bool in_use = false;
    bool has_ended = false;  ///< the end or an error of it was seen: a short read may be followed by an end
    bool has_sent_end = false;
    bool error_seen = false;
    bool watches_out = false;
    bool is_urgent = false;
    bool is_deaf = false;  ///< more bytes are not told of until somebody waits for them
    std::array<bool, 2> ready = {};
    std::array<Waiter*, 2> waiters = {};
    FailureListener* failure_listener = nullptr;
  };

  void shutdown() override;
  [[nodiscard]] Entry* find(Watch watch);
  [[nodiscard]] const Entry* find(Watch watch) const;
  [[nodiscard]] bool tell_kernel(int what, const Entry& entry, Watch watch);
  [[nodiscard]] Waiter* take(Entry& entry, Direction direction);
  void disarm_if_idle();
  [[nodiscard]] ByAsio& by_asio();
  void arm();
  void hold_work();
  [[nodiscard]] Instant next_moment() const;
  void ring(Instant now);
  void set_clock();
  [[nodiscard]] bool watch_asio();
  void post_first_held_back();
  void share_with_held_back();
  [[nodiscard]] int look();
  [[nodiscard]] int wait_for_events();
  void dispatch(int count);
  void dispatch(const epoll_event& event);

  static constexpr std::size_t kAtOnce = 256;

  boost::asio::any_io_executor executor_;
  UniqueFd epoll_;
  int failure_;                ///< errno, if there is no epoll instance or wake_
  std::deque<Entry> entries_;  ///< stay where they are
  std::vector<std::uint32_t> free_;
  std::size_t waiting_ = 0;
  boost::intrusive::multiset<Alarm, boost::intrusive::constant_time_size<false>> alarms_;
  std::array<epoll_event, kAtOnce> events_;
  std::deque<std::move_only_function<void()>> held_back_;  ///< by post_behind_sockets()

  // Where sleep() is called.
  bool sleeps_ = false;
  std::optional<int> asio_;    ///< the epoll instance of the context itself, where it is used
  UniqueFd wake_;              ///< an eventfd
  bool has_fine_wait_ = true;  ///< the kernel has epoll_pwait2(), as far as is known
  std::atomic<bool> hears_wake_ = false;
  std::optional<boost::asio::executor_work_guard<boost::asio::any_io_executor>>
      work_;  ///< somebody waits, or is held back
  Instant woke_at_{};
  LookPolicy look_policy_;
  std::optional<Instant> served_since_;  ///< a look found sockets: those who waited for them have their turn
  Instant turns_until_{};                ///< of those held back, one after another

  std::unique_ptr<ByAsio> by_asio_;  ///< where the context runs by itself, and somebody has waited
};

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/intrusive/list.hpp>

#include "base/result.hpp"
#include "net/parked.hpp"
#include "net/readiness.hpp"

namespace culvert::net {

/// Many sockets of which whoever reads them is one coroutine, which is told of all that became ready at once.
/// A socket costs one system call when it is added, and none each time it is waited for. All calls on the
/// thread of the executor's io_context, which must outlive it.
class ReadySet {
 public:
  explicit ReadySet(const boost::asio::any_io_executor& executor);
  ReadySet(const ReadySet&) = delete;
  ReadySet& operator=(const ReadySet&) = delete;

  class Member;
  struct Ready {
    void* owner;
    Member* member;
  };

  /// From now on ready() names `owner` while `socket` may have something to read or an error. Until the
  /// member goes, which must be before its socket and the set. Errc::system: ENOSPC is the user's limit of
  /// watches. Errc::cancelled after close().
  [[nodiscard]] Result<std::unique_ptr<Member>> add(int socket, void* owner);

  /// Who is ready now; a part of them if there are many, and another part next time. As long as until the
  /// next call, or until that member goes. No system call.
  [[nodiscard]] std::span<const Ready> ready();

  /// Waits until somebody is. Errc::cancelled after close() or Asio cancellation.
  [[nodiscard]] boost::asio::awaitable<Result<void>> wait();
  /// wait() returns, add() fails, and nobody is ready. Any number of times.
  void close();

 private:
  static constexpr std::size_t kAtOnce = 256;

  using Hook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

  Readiness& readiness_;
  boost::intrusive::list<Member, boost::intrusive::base_hook<Hook>,
                         boost::intrusive::constant_time_size<false>>
      are_ready_;
  std::array<Ready, kAtOnce> named_;
  Parked waiting_;
  bool is_cancelled_ = false;
  bool is_closed_ = false;
};

/// A socket of a set.
class ReadySet::Member final : public ReadySet::Hook, private Readiness::Waiter {
 public:
  Member(ReadySet& set, void* owner) : set_(set), owner_(owner) {}
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;
  ~Member();

  /// Whether an error was seen since the last call.
  [[nodiscard]] bool take_error_seen() { return set_.readiness_.take_error_seen(watch_); }
  /// The last try met "not now": it is not ready any more, until something comes. (Nothing may have been
  /// awaited in between.)
  void drained();

 private:
  friend ReadySet;

  void ready() override;
  void cancelled() override {}
  void dropped() override {}
  [[nodiscard]] Result<void> watch(int socket);

  ReadySet& set_;
  void* const owner_;
  Readiness::Watch watch_;
};

}  // namespace culvert::net

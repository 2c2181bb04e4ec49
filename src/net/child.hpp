// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/result.hpp"
#include "base/time.hpp"
#include "net/spawn.hpp"

namespace culvert::net {

/// A program that was started. It is waited for whenever it ends, be this object still there or not. All
/// calls on the thread of its executor.
class Child {
 public:
  /// `farewell` is the signal that it gets if it still runs when this object goes; one that is apart gets it
  /// with its whole group. Errc::system, with the cause alone.
  [[nodiscard]] static Result<Child> start(const boost::asio::any_io_executor& executor, Spawn what,
                                           int farewell);
  Child(Child&&) noexcept = default;
  Child& operator=(Child&&) = delete;
  ~Child();

  /// What ended() gives for a program whose end somebody else has waited for (an ignored SIGCHLD).
  static constexpr int kUnknownStatus = -1;

  /// To it, or to its whole group if it is apart. Nothing once it has ended.
  void signal(int number) const;
  /// Waits for its end. The status is that of waitpid(2). Errc::cancelled after Asio cancellation.
  [[nodiscard]] boost::asio::awaitable<Result<int>> ended() const;
  /// The same, but for no longer than that: Errc::timed_out. Asio cancellation does not shorten it.
  [[nodiscard]] boost::asio::awaitable<Result<int>> ended_within(Duration patience) const;

 private:
  struct Process;
  Child(std::shared_ptr<Process> process, int farewell) : process_(std::move(process)), farewell_(farewell) {}

  std::shared_ptr<Process> process_;  // null once it was moved from
  int farewell_;
};

/// Of a status of ended(), behind the program's name: "exited with status 1", "was killed by signal 15".
[[nodiscard]] std::string text_of_end(int status);

/// Of a status of ended(): nothing if it is 0, or else Errc::closed: "it exited with status 1".
[[nodiscard]] Result<void> judge_end(int status);

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "base/result.hpp"

namespace culvert::net {

/// A program that we started, until it has been waited for: that happens whenever it ends, also if nobody
/// holds this any more. On the executor's thread.
class ChildProcess : public std::enable_shared_from_this<ChildProcess> {
 public:
  /// What waitpid() says of a program whose end somebody else has waited for (an ignored SIGCHLD).
  static constexpr int kUnknownStatus = -1;

  /// `pid`: of a program that nobody has waited for yet. `on_end` is called once.
  [[nodiscard]] static Result<std::shared_ptr<ChildProcess>> watch(
      const boost::asio::any_io_executor& executor, pid_t pid, std::function<void()> on_end = {});

  ChildProcess(const boost::asio::any_io_executor& executor, pid_t pid, int pidfd,
               std::function<void()> on_end);

  /// As waitpid() gives it; none while it runs.
  [[nodiscard]] std::optional<int> status() const { return status_; }
  /// Nothing once it has ended.
  void signal(int number);

 private:
  void wait();

  const pid_t pid_;
  boost::asio::posix::stream_descriptor ended_;
  std::function<void()> on_end_;
  std::optional<int> status_;
};

}  // namespace culvert::net

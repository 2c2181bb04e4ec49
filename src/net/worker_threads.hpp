// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <thread>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

namespace culvert::net {

/// The threads of a run besides the caller's, each with a context of its own. All calls on the caller's
/// thread.
class WorkerThreads {
 public:
  /// `wanted` threads with the caller's; 0: one for each processor. None of them runs yet.
  explicit WorkerThreads(unsigned wanted);
  ~WorkerThreads() { stop(); }
  WorkerThreads(const WorkerThreads&) = delete;
  WorkerThreads& operator=(const WorkerThreads&) = delete;

  [[nodiscard]] std::size_t count() const { return threads_.size(); }
  /// Of the context of one of them, for what is made before it runs, and for post_from_outside().
  [[nodiscard]] boost::asio::any_io_executor executor(std::size_t index) const;
  /// Of all threads; the caller's own is the first.
  [[nodiscard]] std::vector<boost::asio::any_io_executor> executors(boost::asio::any_io_executor own) const;

  /// Runs them until stop(). Once.
  void start();
  /// Ends them where they are, and returns when they have. What waits in their contexts stays there until
  /// this is destroyed. Any number of times.
  void stop();

 private:
  struct Thread {
    Thread();
    boost::asio::io_context io{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
    std::thread thread;
  };
  std::vector<std::unique_ptr<Thread>> threads_;
};

}  // namespace culvert::net

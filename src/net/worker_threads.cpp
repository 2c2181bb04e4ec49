// SPDX-License-Identifier: Apache-2.0
#include "net/worker_threads.hpp"

#include <malloc.h>

#include <algorithm>
#include <utility>

#include "net/readiness.hpp"
#include "net/run.hpp"

namespace culvert::net {

WorkerThreads::Thread::Thread() : work(io.get_executor()) { (void)Readiness::of(io.get_executor()); }

WorkerThreads::WorkerThreads(unsigned wanted) {
  const unsigned all = wanted != 0 ? wanted : std::max(1U, std::thread::hardware_concurrency());
  // Threads that share a heap wait for each other at its lock. One more is for those that look names up, and
  // may come first.
  ::mallopt(M_ARENA_MAX, static_cast<int>(all) + 1);
  for (unsigned i = 1; i < all; ++i) threads_.push_back(std::make_unique<Thread>());
}

boost::asio::any_io_executor WorkerThreads::executor(std::size_t index) const {
  return threads_[index]->io.get_executor();
}

std::vector<boost::asio::any_io_executor> WorkerThreads::executors(boost::asio::any_io_executor own) const {
  std::vector<boost::asio::any_io_executor> all{std::move(own)};
  for (const auto& one : threads_) all.emplace_back(one->io.get_executor());
  return all;
}

void WorkerThreads::start() {
  for (const auto& one : threads_) one->thread = std::thread([&io = one->io] { run(io); });
}

void WorkerThreads::stop() {
  for (const auto& one : threads_) {
    stop_from_outside(one->io);
    if (one->thread.joinable()) one->thread.join();
  }
}

}  // namespace culvert::net

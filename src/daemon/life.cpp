// SPDX-License-Identifier: Apache-2.0
#include "daemon/life.hpp"

#include "engine/relay/elsewhere.hpp"

namespace culvert::daemon {

relay::Task<void> all_answer(const net::WorkerThreads& threads) {
  const auto answer = []() -> relay::Task<bool> { co_return true; };
  for (std::size_t i = 0; i < threads.count(); ++i)
    (void)co_await relay::elsewhere<bool>(threads.executor(i), answer);
}

}  // namespace culvert::daemon

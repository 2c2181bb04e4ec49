// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/relay/stream.hpp"
#include "net/worker_threads.hpp"

namespace culvert::daemon {

/// Returns when each of these threads has run something that was posted to it: not while one of them hangs.
/// They must outlive it.
[[nodiscard]] relay::Task<void> all_answer(const net::WorkerThreads& threads);

}  // namespace culvert::daemon

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "daemon/plan.hpp"

namespace culvert::tunnel {
class Prompter;
}

namespace culvert::daemon {

class ServiceManager;

/// How a run ended.
struct Outcome {
  enum class End : std::uint8_t {
    finished,  ///< what the plan asked for is done (the stdio stream ended)
    stopped,   ///< by a signal
    failed,    ///< the reason has been logged
  };
  End end = End::failed;
  bool was_ready = false;
  int signal = 0;  ///< of `stopped`
};

struct Hooks {
  std::function<void()> on_ready;  ///< all listeners are up, all sessions logged in; after the line "ready"
  void (*last_words)() = nullptr;  ///< before a second signal ends the process: async-signal-safe
};

/// Makes the running state match the plan, on the calling thread, until it is done, a signal comes, or
/// something fails. All that went wrong is logged. With servers or direct forwards it gives up the rights of
/// root first: before threads exist. `prompter` asks the person for what the sessions need;
/// `manager` is told how it goes, before `hooks` are.
[[nodiscard]] Outcome run(const Plan& plan, tunnel::Prompter& prompter, ServiceManager& manager,
                          const Hooks& hooks);

}  // namespace culvert::daemon

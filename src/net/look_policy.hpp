// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/time.hpp"

namespace culvert::net {

/// Whether a thread should look for a while before it sleeps. It pays where an answer comes sooner to who is
/// awake; it does not where what comes does not depend on us, where others need the processor, or where the
/// kernel keeps all of a conversation on one processor anyway. No rule foresees that, so it is measured: a
/// number of rounds without, the same number with looks, and looks stay as long as they are faster by a
/// tenth. Each trial in vain doubles the time until the next.
class LookPolicy {
 public:
  static constexpr int kWindow = 32;  ///< rounds that are compared
  /// Windows without looks before a trial, the current one among them.
  static constexpr int kFewest = 1, kMost = 64;
  /// Of looks; then a window without shows whether they still pay.
  static constexpr int kUntilCheck = 256;
  /// Longer between two rounds is a pause: no conversation that a look could make faster.
  static constexpr Duration kPause = std::chrono::milliseconds(1);

  [[nodiscard]] bool wants_to_look() const { return phase_ == Phase::trial || phase_ == Phase::on; }

  /// A round has ended, one sleep or look that something came in, and `took` so long since the one before it.
  void round(Duration took) {
    if (took > kPause) return restart();
    sum_ += took;
    if (phase_ == Phase::trial && sum_ >= baseline_) return give_up();
    if (++rounds_ < kWindow) return;
    const Duration sum = sum_;
    clear();
    switch (phase_) {
      case Phase::off:
        baseline_ = sum;
        if (++windows_ >= needed_) enter(Phase::trial);
        return;
      case Phase::trial:
        if (!is_faster(sum, baseline_)) return give_up();
        needed_ = kFewest;
        return enter(Phase::on);
      case Phase::on:
        if (!is_faster(sum, baseline_)) return give_up();
        with_looks_ = sum;
        if (++windows_ == kUntilCheck) enter(Phase::check);
        return;
      case Phase::check:
        baseline_ = sum;
        return is_faster(with_looks_, sum) ? enter(Phase::on) : give_up();
    }
  }

  /// Who moves a lot at a time gains nothing by a look, and finds less.
  void in_bulk() { restart(); }

 private:
  enum class Phase : std::uint8_t { off, trial, on, check };

  [[nodiscard]] static bool is_faster(Duration with, Duration without) { return with * 10 < without * 9; }

  void clear() {
    sum_ = Duration::zero();
    rounds_ = 0;
  }
  void enter(Phase phase) {
    phase_ = phase;
    windows_ = 0;
    clear();
  }
  void restart() { phase_ == Phase::off ? clear() : enter(Phase::off); }
  void give_up() {
    needed_ = needed_ * 2 < kMost ? needed_ * 2 : kMost;
    enter(Phase::off);
  }

  Phase phase_ = Phase::off;
  int rounds_ = 0;  ///< of this window
  Duration sum_{};
  int windows_ = 0;
  int needed_ = kFewest;
  Duration baseline_{}, with_looks_{};  ///< of a window
};

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "base/time.hpp"

namespace culvert::net {

/// Whether a thread should look for a while before it sleeps. It pays where answers come sooner than a thread
/// is woken, and from another processor: whoever is to answer cannot run where somebody looks. That shows in
/// nothing but the looks themselves, so each one in vain doubles the number of short sleeps after which the
/// next one is tried, and each that found something halves it.
class LookPolicy {
 public:
  /// A sleep that ended so soon was as long as falling asleep and being woken take, and the answer came
  /// meanwhile.
  static constexpr Duration kShortSleep = std::chrono::microseconds(60);
  /// Short sleeps before a look: `kFewest` while looks help, and never more than `kMost`.
  static constexpr int kFewest = 8, kMost = 1024;

  [[nodiscard]] bool wants_to_look() const { return credit_ >= needed_; }

  void slept(Duration time) { credit_ = std::clamp(credit_ + (time < kShortSleep ? 1 : -1), 0, needed_); }
  void looked(bool found) {
    needed_ = std::clamp(found ? needed_ / 2 : needed_ * 2, kFewest, kMost);
    credit_ = found ? needed_ : 0;
  }
  /// Who moves a lot at a time gains nothing by a look, and finds less.
  void in_bulk() { credit_ = 0; }

 private:
  int credit_ = 0;  ///< short sleeps, without the long ones
  int needed_ = kFewest;
};

}  // namespace culvert::net

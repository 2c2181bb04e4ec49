// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace culvert {

/// Lines for a reader who may stall: a pipe that nobody empties, a terminal after Ctrl-S. It is waited for
/// once; from then on lines are dropped until it reads again, and a line of their own says how many. Nothing
/// is buffered but the rest of a line that the reader has the beginning of. A reader that is gone gets
/// nothing, and no fault comes of it. Not thread-safe.
class PatientWriter {
 public:
  /// The line, with its end, that says how many were dropped.
  using Tell = std::function<std::string(std::uint64_t dropped)>;
  enum class Weight : std::uint8_t {
    ordinary,
    important,  ///< waits for a stalled reader, too: it may be the last one
  };

  /// `fd` stays open elsewhere; whether it blocks does not matter.
  PatientWriter(int fd, Tell tell, Duration patience = std::chrono::milliseconds(100));
  ~PatientWriter();  ///< says how many were dropped, if it can at once
  PatientWriter(PatientWriter&&) = delete;

  /// A line with its end. Takes `patience` at most.
  void write(std::string_view line, Weight weight = Weight::ordinary);

 private:
  [[nodiscard]] bool catch_up(Instant deadline);
  [[nodiscard]] bool put(std::string_view line, Instant deadline);
  [[nodiscard]] bool flush(Instant deadline);

  const int fd_;
  const Tell tell_;
  const Duration patience_;
  std::string rest_;  ///< of a line that has been begun
  std::uint64_t dropped_ = 0;
  bool stalled_ = false;
};

}  // namespace culvert

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/result.hpp"

namespace culvert::relay {

/// How far one direction of a stream has come.
struct Passage {
  std::uint64_t moved = 0;  ///< bytes that the destination took
  bool waits = false;       ///< bytes are here that the destination does not take now
  bool ended = false;
};

/// Which of its two streams a failure is of.
struct CarryFailure {
  bool is_of_source;
  Error error;

  static CarryFailure of_source(Error error) { return {true, std::move(error)}; }
  static CarryFailure of_destination(Error error) { return {false, std::move(error)}; }
};

}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <utility>

#include "base/result.hpp"

namespace culvert::testing {

/// What a test cannot go on without. Throws what failed, where value() would not say it.
template <class T>
[[nodiscard]] T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

}  // namespace culvert::testing

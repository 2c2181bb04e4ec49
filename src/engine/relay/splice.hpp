// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "engine/relay/passage.hpp"
#include "engine/relay/stream.hpp"

namespace culvert::relay {

/// Whether bytes may pass from one to the other inside the kernel.
[[nodiscard]] bool may_splice(Stream& from, Stream& to);

/// Moves bytes from one socket to the other through a pipe while they come in bulk, and says in `passage`
/// how far they have come. Returns when they do not any more, at the end (which the next read() says again),
/// or at once where there is no pipe to be had. What `from` lent has been consumed before; when this returns
/// without a failure, nothing is left inside. Both as long as this runs.
[[nodiscard]] Task<std::optional<CarryFailure>> splice(Stream& from, Stream& to, Passage& passage);

}  // namespace culvert::relay

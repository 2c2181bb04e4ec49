// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace culvert {

/// Takes the pages of program and libraries that were needed up to now out of this process's memory: the code
/// and the constants, of which little is needed again behind a start. That comes back by itself, from the
/// page cache. `around`: only of the object that has this function. Any thread.
/// (docs/decisions/code-pages.md)
void unmap_code(const void* around = nullptr);

}  // namespace culvert

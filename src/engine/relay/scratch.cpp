// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/scratch.hpp"

#include <memory>

namespace culvert::relay {

MutableBytes thread_scratch() {
  thread_local const std::unique_ptr<std::uint8_t[]> buffer(
      new std::uint8_t[kScratchSize]);  // not cleared: no page is
                                        // touched before its use
  return {buffer.get(), kScratchSize};
}

DatagramScratch& thread_datagrams() {
  thread_local const auto made = std::make_unique<DatagramScratch>();
  return *made;
}

}  // namespace culvert::relay

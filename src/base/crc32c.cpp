// SPDX-License-Identifier: Apache-2.0
#include "base/crc32c.hpp"

#include <boost/crc.hpp>

namespace culvert {

std::uint32_t crc32c(std::initializer_list<ByteView> parts) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> sum;
  for (const ByteView part : parts) sum.process_bytes(part.data(), part.size());
  return sum.checksum();
}

}  // namespace culvert

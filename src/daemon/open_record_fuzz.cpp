// SPDX-License-Identifier: Apache-2.0
// The file of open ports: what can be read is written the same. Input: the text.
#include "daemon/open_record.hpp"
#include "tests/support/fuzz_input.hpp"

using namespace culvert;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto ports = daemon::decode_open_record(as_text({data, size}));
  if (ports)
    test::require(daemon::decode_open_record(daemon::encode_open_record(*ports)) == *ports,
                  "it reads the same again");
  return 0;
}

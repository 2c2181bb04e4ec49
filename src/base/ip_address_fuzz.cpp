// SPDX-License-Identifier: Apache-2.0
// Addresses and networks: what is read is shown in a form that reads as the same again.
#include "base/ip_address.hpp"

#include <cstdint>
#include <cstdlib>

using namespace culvert;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text(ByteView(data, size));
  if (const auto address = IpAddress::parse(text)) {
    if (IpAddress::parse(address->text()) != address) std::abort();
    const IpAddress normal = address->normalised();
    if (normal.normalised() != normal) std::abort();
    (void)known_range(normal);
  }
  if (const auto network = IpNetwork::parse(text)) {
    const auto again = IpNetwork::parse(network->text());
    if (!again || !(*again == *network) || !network->contains(network->first())) std::abort();
    const IpNetwork normal = network->normalised();
    if (!(normal.normalised() == normal) || !normal.contains(normal.first())) std::abort();
  }
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Answers of an ssh-agent: as they come, and with a length field that fits put in front.
#include "proto/ssh/auth/agent_protocol.hpp"

#include <cstdint>
#include <cstdlib>

#include "base/wire.hpp"

using namespace culvert;

namespace {

void decode(ByteView received) {
  const auto missing = ssh::agent_message_missing(received);
  const bool is_whole = missing && *missing == 0;
  const auto identities = ssh::decode_agent_identities(received);
  (void)ssh::decode_agent_success(received);
  const auto signature = ssh::decode_agent_signature(received, "rsa-sha2-512");
  if ((identities || signature) && !is_whole) std::abort();
  if (identities && identities->usable.size() + identities->skipped > ssh::kMaxAgentIdentities) std::abort();
  if (signature && Reader(*signature).text() != "rsa-sha2-512") std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  decode(input);
  Bytes framed;
  Writer(framed).string(input);
  decode(framed);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Channels between two Mux, without a transport: fast. The input is one byte that chooses limits, and then
// what happens, see ChannelHarness::step. session_pair_fuzz does the same to whole sessions.
#include "tests/support/channel_harness.hpp"
#include "tests/support/mux_pair.hpp"

using namespace culvert;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::FuzzInput input(data, size);
  const ssh::SessionConfig config = test::tight_config(input.byte());
  test::MuxPair pair(config);
  test::ChannelHarness harness(pair, config.limits);
  while (!input.empty()) {
    harness.step(input);
    for (const auto* end : {&pair.client, &pair.server})
      test::require(end->session.is_closed() || end->session.budget().used() <= config.limits.window_budget,
                    "the budget is kept");
  }
  harness.finish();
  return 0;
}

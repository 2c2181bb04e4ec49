// SPDX-License-Identifier: Apache-2.0
// Channels between two sessions, renewal of keys included: as mux_fuzz, and with the same inputs. Most of the
// time goes into logging in, so mux_fuzz gets further; this one knows how the layers hold together.
#include "tests/support/channel_harness.hpp"
#include "tests/support/session_pair.hpp"

using namespace culvert;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::FuzzInput input(data, size);
  test::SessionPair::Options options;
  options.client = test::tight_config(input.byte());
  options.client.algorithms.key_exchanges = {"ecdh-sha2-nistp256"};  // the cheapest
  options.client.algorithms.ciphers = {"aes128-gcm@openssh.com"};
  options.client.instance = ssh::InstanceId{1, 2, 3};
  options.server = options.client;
  test::SessionPair pair(options);
  pair.run();
  for (const auto* end : {&pair.client, &pair.server})
    test::require(end->session.is_authenticated() && end->session.output().empty(), "the login works");

  test::require(std::ranges::count(pair.server.log, "InstanceTold") == 1, "the instance is told once");

  test::ChannelHarness harness(pair, options.client.limits);
  while (!input.empty()) harness.step(input);
  harness.finish();
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Steps that scripts of the first key exchange share.
#pragma once

#include <functional>

#include "tests/support/conversation.hpp"

namespace culvert::test {

inline Conversation::Options without_strict() {
  Conversation::Options options;
  options.offer.strict = false;
  return options;
}

// Runs up to the server's reply, and gives that.
inline void reply_with(Conversation& c, const std::function<void(ScriptedPeer&)>& reply) {
  c.as_peer([](ScriptedPeer& p) { p.identify(); });
  c.expect_message<ssh::KexInitMessage>();
  c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
  c.expect_message<ssh::KexStringInitMessage>();
  c.as_peer(reply);
}

}  // namespace culvert::test

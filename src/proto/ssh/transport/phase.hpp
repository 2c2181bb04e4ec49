// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "proto/ssh/session.hpp"

namespace culvert::ssh {

/// Where the peer is in the protocol: decides which of its messages make sense.
enum class Phase : std::uint8_t {
  first_kexinit,   ///< its first KEXINIT must come
  first_exchange,  ///< the first key exchange: its 30 or 31 must come
  first_newkeys,   ///< its NEWKEYS must come
  service,         ///< the authentication service is asked for
  authentication,
  connected,       ///< logged in; its KEXINIT may come at any time
  rekey_exchange,  ///< after its KEXINIT
  rekey_newkeys,
};
inline constexpr unsigned kPhases = 8;

enum class Verdict : std::uint8_t {
  accept,
  unimplemented,  ///< unknown to us: answered with UNIMPLEMENTED (RFC 4253 section 11.4)
  forbidden,      ///< not allowed now: ends the connection
};

/// What to do with message `number` from a peer in `phase`, where `receiver` is our role. `strict`: strict
/// key exchange was agreed on (no ignore, debug or unimplemented before the first keys).
[[nodiscard]] Verdict judge(Role receiver, Phase phase, std::uint8_t number, bool strict);

}  // namespace culvert::ssh

// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/transport/phase.hpp"

namespace culvert::ssh {
namespace {

using Mask = std::uint8_t;

template <class... Phases>
constexpr Mask in(Phases... phases) {
  return static_cast<Mask>(((1u << static_cast<unsigned>(phases)) | ... | 0u));
}

using enum Phase;
constexpr Mask kNever = 0;
constexpr Mask kAlways = 0xFF;
constexpr Mask kFirst = in(first_kexinit, first_exchange, first_newkeys);
constexpr Mask kExchange = in(first_exchange, rekey_exchange);
constexpr Mask kBetweenExchanges = in(service, authentication, connected);

struct Row {
  std::uint8_t from, to;  // message numbers, both included
  Mask client, server;    // phases in which that receiver accepts them
};

// The one table of what is allowed when. Numbers that are in no row are unknown.
constexpr Row kRows[] = {
    {1, 1, kAlways, kAlways},                                          // DISCONNECT
    {2, 4, kAlways, kAlways},                                          // IGNORE, UNIMPLEMENTED, DEBUG
    {5, 5, kNever, in(service)},                                       // SERVICE_REQUEST
    {6, 6, in(service), kNever},                                       // SERVICE_ACCEPT
    {7, 7, in(service, authentication), in(service, authentication)},  // EXT_INFO
    // KEXINIT. Each costs a server a signature, which it gives strangers once; no client needs a second one
    // within the time that it has for the login.
    {20, 20, in(first_kexinit) | kBetweenExchanges, in(first_kexinit, connected)},
    {21, 21, in(first_newkeys, rekey_newkeys), in(first_newkeys, rekey_newkeys)},  // NEWKEYS
    {30, 30, kNever, kExchange},                                                   // the client's value
    {31, 31, kExchange, kNever},                      // the server's value and signature
    {32, 49, kNever, kNever},                         // of other key exchange methods
    {50, 50, kNever, in(authentication, connected)},  // USERAUTH_REQUEST (ignored after login)
    {51, 53, in(authentication), kNever},             // FAILURE, SUCCESS, BANNER
    {60, 60, in(authentication), kNever},             // of the method in progress
    {61, 61, kNever, in(authentication)},             // INFO_RESPONSE
    {80, 82, in(connected), in(connected)},           // global requests and their answers
    {90, 100, in(connected), in(connected)},          // channels
    {192, 193, in(connected), in(connected)},         // ping@openssh.com
};

constexpr bool holds(Mask mask, Phase phase) { return (mask >> static_cast<unsigned>(phase) & 1u) != 0; }

}  // namespace

Verdict judge(Role receiver, Phase phase, std::uint8_t number, bool strict) {
  if (strict && holds(kFirst, phase) && number >= 2 && number <= 4) return Verdict::forbidden;
  for (const Row& row : kRows) {
    if (number < row.from || number > row.to) continue;
    return holds(receiver == Role::client ? row.client : row.server, phase) ? Verdict::accept
                                                                            : Verdict::forbidden;
  }
  return holds(kBetweenExchanges, phase) ? Verdict::unimplemented : Verdict::forbidden;
}

}  // namespace culvert::ssh

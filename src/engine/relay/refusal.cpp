// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/refusal.hpp"

#include <cerrno>

namespace culvert::relay {

Refusal refusal_for(const Error& error) {
  switch (error.code) {
    case Errc::timed_out:
      return Refusal::timed_out;
    case Errc::limit:
      return Refusal::overloaded;
    case Errc::cancelled:
      return Refusal::closed;
    case Errc::denied:
      return Refusal::prohibited;
    case Errc::system:
      break;
    default:
      return Refusal::unreachable;
  }
  switch (error.detail) {
    case ECONNREFUSED:
    case ECONNRESET:
      return Refusal::connection_refused;
    case ENETUNREACH:
      return Refusal::network_unreachable;
    case EACCES:
    case EPERM:
      return Refusal::prohibited;
    case EADDRNOTAVAIL:
    case EADDRINUSE:
      return Refusal::no_source;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
      return Refusal::overloaded;
    default:
      return Refusal::unreachable;
  }
}

}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#include "proto/gateway/messages.hpp"

namespace culvert::gateway {

std::string_view name_of(Protocol protocol) { return protocol == Protocol::tcp ? "tcp" : "udp"; }

std::string_view describe(Status status) {
  switch (status) {
    case Status::success:
      return "it is done";
    case Status::wrong_version:
      return "it does not know this version of the protocol";
    case Status::not_authorized:
      return "it does not allow that (its settings may have a switch for UPnP or port mapping)";
    case Status::malformed_request:
    case Status::malformed_option:
      return "it does not understand the request";
    case Status::unknown_opcode:
      return "it does not map ports";
    case Status::unknown_option:
      return "it does not know an option of the request";
    case Status::network_failure:
      return "it has no address outside: its own connection may be down";
    case Status::no_resources:
      return "it has no room for another port now";
    case Status::unknown_protocol:
      return "it does not map ports of this protocol";
    case Status::quota_exceeded:
      return "this machine has as many ports as it may";
    case Status::cannot_provide_outside:
      return "it cannot give this port";
    case Status::address_mismatch:
      return "it sees us at another address: there is one more NAT between it and this machine";
    case Status::too_many_peers:
      return "it does not take so many peers";
    case Status::too_short:
      return "it opens ports for a few seconds only";
    case Status::other:
      break;
  }
  return "it refuses, for a reason that we do not know";
}

}  // namespace culvert::gateway

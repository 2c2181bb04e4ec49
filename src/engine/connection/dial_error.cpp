// SPDX-License-Identifier: Apache-2.0
#include "engine/connection/dial_error.hpp"

#include <algorithm>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/text.hpp"

namespace culvert::connection {
namespace {

std::string_view words_for(ssh::OpenFailure reason) {
  switch (reason) {
    case ssh::OpenFailure::administratively_prohibited:
      return "administratively prohibited";
    case ssh::OpenFailure::connect_failed:
      return "connect failed";
    case ssh::OpenFailure::unknown_channel_type:
      return "unknown channel type";
    case ssh::OpenFailure::resource_shortage:
      return "resource shortage";
  }
  return "unknown reason";  // any number can come from the peer
}

relay::Refusal refusal_for(const OpenRefused& refused) {
  switch (refused.reason) {
    case ssh::OpenFailure::administratively_prohibited:
      return relay::Refusal::prohibited;
    case ssh::OpenFailure::unknown_channel_type:
      return relay::Refusal::unsupported;
    case ssh::OpenFailure::resource_shortage:
      return relay::Refusal::overloaded;
    case ssh::OpenFailure::connect_failed:
      break;
  }
  const std::string text = lower(refused.description);
  if (text.contains("refused")) return relay::Refusal::connection_refused;
  if (text.contains("timed out") || text.contains("timeout")) return relay::Refusal::timed_out;
  if (text.contains("network is unreachable")) return relay::Refusal::network_unreachable;
  return relay::Refusal::unreachable;
}

}  // namespace

relay::DialError dial_error(const OpenRefused& refused) {
  std::string message = fmt::format("open failed: {}", words_for(refused.reason));
  if (!refused.description.empty()) message += fmt::format(": {}", printable(refused.description, 400));
  return {refusal_for(refused), std::move(message)};
}

}  // namespace culvert::connection

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iterator>
#include <string_view>

#include "proto/ssh/session.hpp"

namespace culvert::test {

[[nodiscard]] inline std::string_view name_of_event(std::size_t index) {
  static constexpr std::string_view kNames[] = {
      "HostKeyOffered",      "HostSignatureWanted", "KeysAgreed",        "AuthNext",
      "UserSignatureWanted", "PromptsShown",        "BannerShown",       "UserOffered",
      "Authenticated",       "ChannelOpened",       "ChannelOpenFailed", "ChannelRequested",
      "ChannelData",         "ChannelWritable",     "ChannelEnded",      "ChannelClosed",
      "GlobalReply",         "GlobalRequested",     "ListenRequested",   "ChannelAsked",
      "HostKeyProofWanted",  "InstanceTold",        "Disconnected"};
  static_assert(std::size(kNames) == std::variant_size_v<ssh::Event>);
  return kNames[index];
}

[[nodiscard]] inline std::string_view name_of(const ssh::Event& event) {
  return name_of_event(event.index());
}

}  // namespace culvert::test

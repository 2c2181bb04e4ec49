// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/flow_limit.hpp"

#include <algorithm>

namespace culvert::relay {

std::optional<StreamLimit::Place> FlowLimit::enter() const {
  auto place = shared_.enter();
  return place ? std::move(place) : own_.enter();
}

bool FlowLimit::make_room() {
  const auto most = std::ranges::max_element(forwards_, {}, &net::DescriptorHolder::held_descriptors);
  if (most == forwards_.end() || (*most)->held_descriptors() == 0) return false;
  (*most)->give_up_oldest();
  return true;
}

}  // namespace culvert::relay

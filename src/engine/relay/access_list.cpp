// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/access_list.hpp"

#include <algorithm>

namespace culvert::relay {

Result<void> AccessList::add(Answer answer, std::string_view network) {
  Entry entry{std::nullopt, answer};
  if (network != "all") entry.network = TRY(IpNetwork::parse(network)).normalised();
  entries_.push_back(entry);
  has_allow_ = has_allow_ || answer == Answer::allow;
  return {};
}

bool AccessList::allows(const Endpoint& origin) const {
  if (entries_.empty()) return true;
  const auto address = address_of(origin);
  const auto fits = [&](const Entry& entry) {
    return !entry.network || (address && entry.network->contains(*address));
  };
  const auto first = std::ranges::find_if(entries_, fits);
  return first == entries_.end() ? !has_allow_ : first->answer == Answer::allow;
}

}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/access_list.hpp"

#include <algorithm>

namespace culvert::relay {

Result<void> AccessList::add(Answer answer, std::string_view network) {
  if (network == "all") {
    TRY(add(answer, "0.0.0.0/0"));
    return add(answer, "::/0");
  }
  const IpNetwork parsed = TRY(IpNetwork::parse(network));
  entries_.push_back({parsed.normalised(), answer});
  has_allow_ = has_allow_ || answer == Answer::allow;
  return {};
}

bool AccessList::allows(const Endpoint& origin) const {
  if (entries_.empty() || std::holds_alternative<UnixPath>(origin)) return true;
  const auto address = address_of(origin);
  const auto fits = [&](const Entry& entry) { return address && entry.network.contains(*address); };
  const auto first = std::ranges::find_if(entries_, fits);
  return first == entries_.end() ? !has_allow_ : first->answer == Answer::allow;
}

}  // namespace culvert::relay

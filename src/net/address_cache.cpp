// SPDX-License-Identifier: Apache-2.0
#include "net/address_cache.hpp"

namespace culvert::net {

const AddressCache::Addresses* AddressCache::find(const std::string& name, Family family, Instant now) const {
  const auto found = known_.find({name, family});
  return found == known_.end() || now >= found->second.old_at ? nullptr : &found->second.addresses;
}

void AddressCache::keep(const std::string& name, Family family, const Addresses& addresses, Instant now) {
  Key key(name, family);
  if (const auto before = known_.find(key); before != known_.end()) {
    by_age_.erase(before->second.place);
    known_.erase(before);
  }
  while (!by_age_.empty() && now >= known_.at(*by_age_.front()).old_at) drop_oldest();
  if (lifetime_ <= Duration::zero() || most_ == 0 || addresses.size() > kMostAddresses) return;
  if (known_.size() >= most_) drop_oldest();
  const auto entry = known_.emplace(std::move(key), Answer{addresses, now + lifetime_, {}}).first;
  entry->second.place = by_age_.insert(by_age_.end(), &entry->first);
}

void AddressCache::drop_oldest() {
  const Key* const oldest = by_age_.front();
  by_age_.pop_front();
  known_.erase(known_.find(*oldest));
}

}  // namespace culvert::net

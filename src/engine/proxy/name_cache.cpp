// SPDX-License-Identifier: Apache-2.0
#include "engine/proxy/name_cache.hpp"

#include <utility>

#include "base/assert.hpp"

namespace culvert::proxy {

NameCache::Answer NameCache::find(std::string_view host, std::uint16_t port, ByteView data, Instant now,
                                  bool& waits) {
  waits = false;
  set_key(host, port);
  auto* entry = names_.find(key_);
  if (entry == nullptr) {
    if (names_.full()) {
      (void)take_waiting(names_.oldest().flow);  // dropped
      names_.remove(names_.oldest());
    }
    entry = &names_.insert(key_, Name{}, now);
  } else {
    names_.touch(*entry, now);
  }
  Name& name = entry->flow;
  Answer answer{name.to};
  if (!name.is_looked_up && now >= name.old_at && look_ups_ < kLookUps) {
    name.is_looked_up = answer.look_up = true;
    ++look_ups_;
  }
  if (name.to || !name.is_looked_up) return answer;
  if (waiting_datagrams_ < kWaitingDatagrams && waiting_bytes_ + data.size() <= kWaitingBytes) {
    name.waiting.push_back(copy_of(data));
    ++waiting_datagrams_;
    waiting_bytes_ += data.size();
    waits = true;
  }
  return answer;
}

std::vector<Bytes> NameCache::learn(const relay::HostPort& name,
                                    std::optional<boost::asio::ip::udp::endpoint> to, Instant now) {
  CULVERT_ASSERT(look_ups_ > 0);
  --look_ups_;
  set_key(name.host, name.port);
  auto* const entry = names_.find(key_);
  if (entry == nullptr) return {};  // made room for others meanwhile
  Name& known = entry->flow;
  known.is_looked_up = false;
  known.old_at = now + (to ? kKnownTime : kUnknownTime);
  if (to) known.to = to;
  return take_waiting(known);
}

void NameCache::set_key(std::string_view host, std::uint16_t port) {
  key_.assign(host);
  key_ += ':';
  key_ += std::to_string(port);
}

std::vector<Bytes> NameCache::take_waiting(Name& name) {
  waiting_datagrams_ -= name.waiting.size();
  for (const Bytes& one : name.waiting) waiting_bytes_ -= one.size();
  return std::exchange(name.waiting, {});
}

}  // namespace culvert::proxy

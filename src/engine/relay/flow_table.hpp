// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <list>
#include <unordered_map>
#include <utility>

#include "base/assert.hpp"
#include "base/time.hpp"

namespace culvert::relay {

/// What is kept for each of many peers that say neither when they begin nor when they end: the flows of a
/// UDP forward. One whose last activity is `idle` ago has expired; when all places are taken, the one that
/// has been still for longest makes room. Knows no clock: `now` is an argument, and never goes back.
///
/// `Hash` should depend on a secret if peers choose their keys.
template <class Key, class Flow, class Hash = std::hash<Key>>
class FlowTable {
 public:
  struct Entry {
    Entry(const Key& of, Flow what, Instant now) : key(of), flow(std::move(what)), last_active(now) {}

    const Key key;
    Flow flow;

   private:
    friend FlowTable;
    Instant last_active;
    typename std::list<Entry>::iterator self;
  };

  /// `most`: at least 1.
  FlowTable(std::size_t most, Duration idle, Hash hash = {}) : most_(most), idle_(idle), index_(0, hash) {
    CULVERT_ASSERT(most > 0);
  }

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] bool full() const { return entries_.size() >= most_; }

  /// Null: there is none. An entry stays where it is until it is removed.
  [[nodiscard]] Entry* find(const Key& key) {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : found->second;
  }
  /// It has sent or received something.
  void touch(Entry& entry, Instant now) {
    entry.last_active = now;
    entries_.splice(entries_.end(), entries_, entry.self);
  }
  /// Not while full(), and no key twice.
  Entry& insert(const Key& key, Flow flow, Instant now) {
    CULVERT_ASSERT(!full());
    Entry& entry = entries_.emplace_back(key, std::move(flow), now);
    entry.self = std::prev(entries_.end());
    const bool is_new = index_.emplace(key, &entry).second;
    CULVERT_ASSERT(is_new);
    return entry;
  }
  void remove(Entry& entry) {
    index_.erase(entry.key);
    entries_.erase(entry.self);
  }

  /// The one that has been still for longest. Not while empty().
  [[nodiscard]] Entry& oldest() {
    CULVERT_ASSERT(!empty());
    return entries_.front();
  }
  /// The oldest, if it has expired; else null.
  [[nodiscard]] Entry* expired(Instant now) { return now < next_deadline() ? nullptr : &entries_.front(); }
  /// When the oldest expires; kNever: there is none.
  [[nodiscard]] Instant next_deadline() const {
    return empty() ? kNever : entries_.front().last_active + idle_;
  }

 private:
  const std::size_t most_;
  const Duration idle_;
  std::list<Entry> entries_;  ///< by last activity
  std::unordered_map<Key, Entry*, Hash> index_;
};

}  // namespace culvert::relay

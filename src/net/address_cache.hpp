// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "base/time.hpp"

namespace culvert::net {

enum class Family : std::uint8_t { any, ipv4, ipv6 };

/// What names were found to stand for a moment ago. Bounded; knows no clock and looks nothing up.
class AddressCache {
 public:
  using Addresses = std::vector<boost::asio::ip::address>;

  /// One more than `most` pushes out the oldest.
  static constexpr std::size_t kMostNames = 1024;
  /// An answer that is longer is not kept.
  static constexpr std::size_t kMostAddresses = 64;

  /// Answers are good for `lifetime`; zero: nothing is kept.
  explicit AddressCache(Duration lifetime, std::size_t most = kMostNames)
      : lifetime_(lifetime), most_(most) {}

  /// Null if it is not known, or not any more. Until the next call of keep().
  [[nodiscard]] const Addresses* find(const std::string& name, Family family, Instant now) const;
  /// In place of what was known. `now` never goes back from one call to the next.
  void keep(const std::string& name, Family family, const Addresses& addresses, Instant now);

  [[nodiscard]] std::size_t size() const { return known_.size(); }

 private:
  using Key = std::pair<std::string, Family>;
  struct Answer {
    Addresses addresses;
    Instant old_at;
    std::list<const Key*>::iterator place;  ///< in by_age_
  };

  void drop_oldest();

  const Duration lifetime_;
  const std::size_t most_;
  std::map<Key, Answer> known_;
  std::list<const Key*> by_age_;  ///< keys of known_, the oldest first
};

}  // namespace culvert::net

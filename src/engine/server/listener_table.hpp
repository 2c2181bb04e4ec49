// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "engine/server/session_handle.hpp"

namespace culvert::server {

/// All places that clients had this server listen at: "127.0.0.1:8080", a path.
class ListenerTable {
 public:
  using Owner = std::shared_ptr<const SessionHandle>;

  void add(const std::string& place, Owner owner) { owners_[place] = std::move(owner); }
  /// Not if it is another's by now.
  void remove(const std::string& place, const Owner& owner) {
    const auto found = owners_.find(place);
    if (found != owners_.end() && found->second == owner) owners_.erase(found);
  }
  /// Null: nobody here does.
  [[nodiscard]] Owner owner_of(const std::string& place) const {
    const auto found = owners_.find(place);
    return found == owners_.end() ? nullptr : found->second;
  }

 private:
  std::map<std::string, Owner> owners_;
};

}  // namespace culvert::server

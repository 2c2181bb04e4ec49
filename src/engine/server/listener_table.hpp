// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "engine/relay/stream.hpp"

namespace culvert::server {

/// Who holds a place that a client had us listen at, and whether it can be taken from them.
class ListenerOwner {
 public:
  virtual ~ListenerOwner() = default;
  /// "key SHA256:...": the same one may take over.
  [[nodiscard]] virtual const std::string& identity() const = 0;
  /// "alice@192.0.2.7:51234", for the log.
  [[nodiscard]] virtual const std::string& name() const = 0;
  /// Asks its client whether it lives; false after `patience` without a word.
  [[nodiscard]] virtual relay::Task<bool> answers(Duration patience) = 0;
  /// Its client is gone: ends it, and gives up all places at once.
  virtual void give_way() = 0;
};

/// All places that clients had this server listen at. On one thread.
class ListenerTable {
 public:
  struct Place {
    std::string name;  ///< "127.0.0.1:8080", a path
    std::weak_ptr<ListenerOwner> owner;
  };

  void add(std::string name, std::weak_ptr<ListenerOwner> owner) {
    places_.push_back({std::move(name), std::move(owner)});
  }
  void remove(const std::string& name) {
    std::erase_if(places_, [&](const Place& place) { return place.name == name; });
  }
  /// Null: nobody here does.
  [[nodiscard]] std::shared_ptr<ListenerOwner> owner_of(const std::string& name) const {
    for (const Place& place : places_) {
      if (place.name == name) return place.owner.lock();
    }
    return nullptr;
  }

 private:
  std::vector<Place> places_;
};

}  // namespace culvert::server

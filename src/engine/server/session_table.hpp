// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/time.hpp"
#include "engine/server/listener_table.hpp"

namespace culvert::server {

/// The sessions that are logged in, by the identity of their clients. On one thread.
class SessionTable {
 public:
  void enter(const std::shared_ptr<ListenerOwner>& session) {
    sessions_.emplace(session->identity(), Entry{session});
  }
  /// `session` is over.
  void leave(const ListenerOwner& session) {
    const auto [first, last] = sessions_.equal_range(session.identity());
    for (auto it = first; it != last; ++it) {
      if (it->second.session.lock().get() == &session) return void(sessions_.erase(it));
    }
  }
  [[nodiscard]] std::size_t size() const { return sessions_.size(); }

  /// Those of one identity, to be asked whether they live; not the ones for which this was called less than
  /// `patience` ago.
  [[nodiscard]] std::vector<std::shared_ptr<ListenerOwner>> to_be_asked(const std::string& identity,
                                                                        Instant now, Duration patience) {
    std::vector<std::shared_ptr<ListenerOwner>> found;
    const auto [first, last] = sessions_.equal_range(identity);
    for (auto it = first; it != last; ++it) {
      auto session = it->second.session.lock();
      if (!session || now < it->second.asked_until) continue;
      it->second.asked_until = now + patience;
      found.push_back(std::move(session));
    }
    return found;
  }

 private:
  struct Entry {
    std::weak_ptr<ListenerOwner> session;
    Instant asked_until = {};
  };
  std::multimap<std::string, Entry> sessions_;
};

}  // namespace culvert::server

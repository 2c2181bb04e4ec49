// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "engine/server/session_handle.hpp"

namespace culvert::server {

/// The sessions that are logged in, by the identity of their clients.
class SessionTable {
 public:
  using Session = std::shared_ptr<const SessionHandle>;

  void enter(const Session& session) { sessions_[session->identity()].emplace(session, Instant{}); }
  /// `session` is over.
  void leave(const Session& session) {
    const auto found = sessions_.find(session->identity());
    if (found == sessions_.end()) return;
    found->second.erase(session);
    if (found->second.empty()) sessions_.erase(found);
  }

  /// Those of one identity, to be asked whether they live; not the ones for which this was called less than
  /// `patience` ago.
  [[nodiscard]] std::vector<Session> to_be_asked(const std::string& identity, Instant now,
                                                 Duration patience) {
    std::vector<Session> found;
    const auto of_identity = sessions_.find(identity);
    if (of_identity == sessions_.end()) return found;
    for (auto& [session, asked_until] : of_identity->second) {
      if (now < asked_until) continue;
      asked_until = now + patience;
      found.push_back(session);
    }
    return found;
  }

 private:
  std::map<std::string, std::map<Session, Instant>> sessions_;
};

}  // namespace culvert::server

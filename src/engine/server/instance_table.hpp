// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "engine/server/session_handle.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::server {

/// The session of each run of a client that told which run it is. A run has one: where a second one logs in,
/// the first has lost its path, whatever its connection looks like from here. What a session tells counts
/// only among those of its own identity.
class InstanceTable {
 public:
  using Session = std::shared_ptr<const SessionHandle>;

  /// `session` is the one of that run from now on. Returns the one before it, which has to give way; null:
  /// there is none.
  [[nodiscard]] Session enter(Session session, const ssh::InstanceId& instance) {
    return std::exchange(sessions_[{session->identity(), instance}], session);
  }
  /// `session` is over.
  void leave(const Session& session, const ssh::InstanceId& instance) {
    const auto found = sessions_.find({session->identity(), instance});
    if (found != sessions_.end() && found->second == session) sessions_.erase(found);
  }

 private:
  std::map<std::pair<std::string, ssh::InstanceId>, Session> sessions_;
};

}  // namespace culvert::server

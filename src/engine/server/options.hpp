// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/server/guard.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::server {

/// Where a user's keys are. Values, not behaviour: part of the Plan.
struct KeysOfUser {
  std::string user;  ///< empty: of every user who has no file of their own
  std::string file;  ///< authorized_keys
};

/// All that one server is, but for where it listens.
struct ServerOptions {
  std::vector<std::string> host_key_files;
  std::vector<std::string> host_certificate_files;
  /// This host key is made if it is not there; it is among host_key_files. Empty: none is made.
  std::string made_host_key;
  std::vector<KeysOfUser> keys;
  std::vector<std::string> revoked_keys;  ///< files
  std::string rules_file;                 ///< empty: none
  std::string quota_file;                 ///< empty: quotas count from the start of the server
  bool allow_all = false;
  std::string banner;
  GuardOptions guard;
  /// Clients come through these proxies alone, each with a PROXY header in front, and count as who is in it.
  std::vector<IpNetwork> proxies;
  /// The same of what comes to the TCP listeners that clients have asked for: the client is told who is in
  /// the header.
  std::vector<IpNetwork> listener_proxies;
  std::uint32_t login_attempts = 6;
  Duration login_time = std::chrono::seconds(60);
  std::size_t sessions = 4096;                       ///< logged in, at once
  Duration connect_time = std::chrono::seconds(30);  ///< of each address of a destination
  Duration takeover_patience = std::chrono::seconds(2);
  ssh::AlgorithmLists algorithms;
  ssh::Limits limits;
  ssh::Timing timing;
};

}  // namespace culvert::server

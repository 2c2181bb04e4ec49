// SPDX-License-Identifier: Apache-2.0
// What should be running. Command-line flags (and later culvert.toml and ssh_config) all end as this one value; the
// supervisor makes the running state match it. There is no second way to start anything.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/relay/endpoint.hpp"
#include "engine/tunnel/server_options.hpp"

namespace culvert::daemon {

/// Where a forward listens.
struct ListenSpec {
  /// TCP: the address to bind; "localhost" and "" stand for 127.0.0.1 and ::1, "*" for every address.
  /// Unix: the path.
  relay::Endpoint endpoint;
};

/// -L: streams from a listener here go through session `session` to `destination`.
struct LocalForward {
  ListenSpec listen;
  relay::Endpoint destination;
};

/// -W: standard input and output are the one stream.
struct StdioForward {
  relay::Endpoint destination;
};

/// One SSH connection and what runs over it.
struct SessionPlan {
  tunnel::ServerOptions server;
  std::vector<LocalForward> local_forwards;
  std::optional<StdioForward> stdio;
  bool exit_on_forward_failure = true;
};

struct Plan {
  std::vector<SessionPlan> sessions;
};

}  // namespace culvert::daemon

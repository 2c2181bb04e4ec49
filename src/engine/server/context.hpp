// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/guarded.hpp"
#include "crypto/random.hpp"
#include "engine/server/account.hpp"
#include "engine/server/guard.hpp"
#include "engine/server/host_keys.hpp"
#include "engine/server/instance_table.hpp"
#include "engine/server/listener_table.hpp"
#include "engine/server/options.hpp"
#include "engine/server/privileges.hpp"
#include "engine/server/session_table.hpp"
#include "engine/server/usage.hpp"
#include "net/resolver.hpp"

namespace culvert::server {

/// What all sessions of one server share, on whatever threads they are.
struct Context {
  /// All must outlive the server. Of sessions that end behind it, with their executor, nothing uses them any
  /// more.
  Context(const ServerOptions& of_server, net::Resolver& names, crypto::Random& source, Privileges& rights,
          HostKeys& keys, Accounts& who)
      : options(of_server),
        resolver(names),
        random(source),
        privileges(rights),
        host_keys(keys),
        accounts(who),
        guard(of_server.guard) {}

  const ServerOptions& options;
  net::Resolver& resolver;
  crypto::Random& random;
  Privileges& privileges;
  HostKeys& host_keys;
  Guarded<Accounts&> accounts;
  Guarded<Guard> guard;
  Guarded<ListenerTable> listeners;
  Guarded<InstanceTable> instances;
  Guarded<SessionTable> sessions;
  Count logged_in;  ///< sessions
};

}  // namespace culvert::server

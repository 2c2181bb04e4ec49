// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "crypto/random.hpp"
#include "engine/server/account.hpp"
#include "engine/server/guard.hpp"
#include "engine/server/host_keys.hpp"
#include "engine/server/instance_table.hpp"
#include "engine/server/listener_table.hpp"
#include "engine/server/options.hpp"
#include "engine/server/privileges.hpp"
#include "engine/server/session_table.hpp"
#include "net/resolver.hpp"

namespace culvert::server {

/// What all sessions of one server share. On one thread.
struct Context {
  boost::asio::any_io_executor executor;
  const ServerOptions& options;
  net::Resolver& resolver;
  crypto::Random& random;
  Privileges& privileges;
  HostKeys& host_keys;
  Accounts& accounts;
  Guard guard;
  ListenerTable listeners = {};
  InstanceTable instances = {};
  SessionTable sessions = {};
};

}  // namespace culvert::server

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>

#include <boost/asio/ip/tcp.hpp>

#include "base/result.hpp"
#include "engine/connection/carrier.hpp"
#include "engine/relay/stream.hpp"
#include "engine/tunnel/server_options.hpp"
#include "net/child.hpp"
#include "net/resolver.hpp"

namespace culvert::tunnel {

/// The way to a server, from its name to bytes that reach it.
struct Reached {
  std::unique_ptr<connection::Carrier> carrier;
  std::optional<boost::asio::ip::tcp::endpoint> peer;  ///< the server's; none where nobody here knows
  std::shared_ptr<const net::Child> program;           ///< ProxyCommand, which the carrier needs
  bool kernel_asks = false;                            ///< whether the other end lives: asks_beside_kernel
};

/// Without a hop: directly, through a proxy (ProxyVia), or by a program (ProxyCommand, also with
/// ProxyUseFdpass). The error's message
/// is the line for the user: "cannot connect to bastion port 22: Connection refused". Obeys Asio
/// cancellation.
[[nodiscard]] relay::Task<Result<Reached>> reach(const ServerOptions& server, net::Resolver& resolver);

/// The error that the end of the connection was, with how its ProxyCommand ended, if that did: "...
/// (ProxyCommand exited with status 1)". Waits a moment for it. `program` may be null.
[[nodiscard]] relay::Task<Error> with_end_of(std::shared_ptr<const net::Child> program, Error error);

}  // namespace culvert::tunnel

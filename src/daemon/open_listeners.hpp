// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.hpp"
#include "daemon/plan.hpp"
#include "engine/relay/stream.hpp"
#include "net/listener.hpp"
#include "net/resolver.hpp"
#include "net/udp_socket.hpp"

namespace culvert::daemon {

/// All the listeners that `spec` stands for, at least one. An address that this machine does not have (IPv6
/// switched off) is passed over if there is another one; any other failure closes all of them. Port 0 is the
/// same port for each; `bind` makes the TCP sockets. The error's message is the line for the user. On
/// `executor`, or the caller's if there is none.
[[nodiscard]] relay::Task<Result<std::vector<net::Listener>>> open_listeners(
    const ListenSpec& spec, net::Resolver& resolver, net::Binder bind = net::bind_tcp,
    boost::asio::any_io_executor executor = {});

/// Whether open_listeners() would fail because a port is taken, or not this user's to take; the same error.
/// Nothing listens meanwhile: nobody connects to what is closed again. Names and Unix sockets pass: they
/// would cost time, or leave traces.
[[nodiscard]] Result<void> check_ports(const ListenSpec& spec);

/// open_listeners() for datagrams.
[[nodiscard]] relay::Task<Result<std::vector<net::UdpListener>>> open_udp_listeners(
    const ListenSpec& spec, net::Resolver& resolver, net::UdpListen listen = net::listen_udp);

}  // namespace culvert::daemon

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/result.hpp"
#include "net/listener.hpp"
#include "net/udp_socket.hpp"

namespace culvert::net {

/// Which of several addresses this machine must have.
enum class Needed : std::uint8_t { any, the_first };

/// A listener for each of these addresses, at least one. An address that this machine does not have (IPv6
/// switched off) is passed over if it is not `needed`; any other failure closes all of them. Port 0 is the
/// same port for each. The error's message is the line for the user.
[[nodiscard]] Result<std::vector<Listener>> listen_on_all(
    const boost::asio::any_io_executor& executor,
    const std::vector<boost::asio::ip::tcp::endpoint>& endpoints, const Binder& bind = bind_tcp,
    Needed needed = Needed::any);

/// The same of UDP.
[[nodiscard]] Result<std::vector<UdpListener>> listen_on_all(
    const std::vector<boost::asio::ip::udp::endpoint>& endpoints, const UdpListen& listen = listen_udp);

}  // namespace culvert::net

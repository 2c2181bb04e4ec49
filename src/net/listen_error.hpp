// SPDX-License-Identifier: Apache-2.0
// What the user reads when a port cannot be had.
#pragma once

#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>

#include "base/result.hpp"

namespace culvert::net {

/// "cannot listen on NAME: CAUSE"; Errc::system, `detail` is errno.
[[nodiscard]] std::unexpected<Error> cannot_listen(const std::string& name, std::string_view cause,
                                                   int errno_value);
/// The same with what to do about it: "cannot listen on 127.0.0.1:80: permission denied (ports below 1024
/// need CAP_NET_BIND_SERVICE; try 8080)", "cannot listen on udp 127.0.0.1:53: ...". Of an address in use it
/// says whether this process has it.
[[nodiscard]] std::unexpected<Error> cannot_listen(const boost::asio::ip::tcp::endpoint& endpoint,
                                                   int errno_value);
[[nodiscard]] std::unexpected<Error> cannot_listen(const boost::asio::ip::udp::endpoint& endpoint,
                                                   int errno_value);

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "crypto/random.hpp"
#include "engine/mapper/port_keeper.hpp"
#include "net/default_routes.hpp"

namespace culvert::mapper {

/// Makes one that asks in a certain way; the listener must outlive it.
using Way = std::function<std::unique_ptr<PortKeeper>(KeeperListener& listener)>;

/// How the router of `route` can be asked for `ports`, best first: PCP, NAT-PMP (of IPv4 alone), UPnP.
/// `random` must outlive what they make.
[[nodiscard]] std::vector<Way> ways_to(const net::DefaultRoute& route, std::span<const Port> ports,
                                       std::chrono::seconds lifetime, crypto::Random& random,
                                       const boost::asio::any_io_executor& executor);

}  // namespace culvert::mapper

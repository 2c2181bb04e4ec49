// SPDX-License-Identifier: Apache-2.0
#include "engine/mapper/ways.hpp"

#include "engine/mapper/protocol_keeper.hpp"
#include "engine/mapper/upnp_keeper.hpp"

namespace culvert::mapper {

std::vector<Way> ways_to(const net::DefaultRoute& route, std::span<const Port> ports,
                         std::chrono::seconds lifetime, crypto::Random& random,
                         const boost::asio::any_io_executor& executor) {
  const std::vector<Port> wanted(ports.begin(), ports.end());
  const auto by_protocol = [=, &random](gateway::Dialect dialect) {
    return [=, &random](KeeperListener& listener) -> std::unique_ptr<PortKeeper> {
      return std::make_unique<ProtocolKeeper>(dialect, route, wanted, lifetime, random, listener, executor);
    };
  };
  std::vector<Way> ways = {by_protocol(gateway::Dialect::pcp)};
  if (route.here.is_v4()) ways.emplace_back(by_protocol(gateway::Dialect::nat_pmp));
  ways.emplace_back([=, &random](KeeperListener& listener) {
    return std::make_unique<UpnpKeeper>(route, wanted, lifetime, random, listener, executor);
  });
  return ways;
}

}  // namespace culvert::mapper

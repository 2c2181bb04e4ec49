// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "crypto/random.hpp"
#include "engine/mapper/port_keeper.hpp"
#include "engine/mapper/prospects.hpp"
#include "engine/relay/signal.hpp"
#include "engine/relay/task_set.hpp"
#include "net/datagram_port.hpp"
#include "net/default_routes.hpp"
#include "proto/gateway/client.hpp"

namespace culvert::mapper {

/// Keeps ports open by PCP or NAT-PMP: gateway::Client with sockets and a clock.
class ProtocolKeeper final : public PortKeeper {
 public:
  /// `listener` and `random` must outlive it.
  ProtocolKeeper(gateway::Dialect dialect, const net::DefaultRoute& route, std::span<const Port> ports,
                 std::chrono::seconds lifetime, crypto::Random& random, KeeperListener& listener,
                 const boost::asio::any_io_executor& executor);

  [[nodiscard]] std::string name() const override;
  [[nodiscard]] relay::Task<Result<void>> run() override;
  void stop() override;
  void abandon() override;
  void refresh() override;

 private:
  Result<void> open_ports();
  relay::Task<std::optional<Error>> work();
  relay::Task<void> hear();
  relay::Task<void> hear_announcements();
  void drive();
  void take(const gateway::Event& event);
  void tell_removed(const gateway::Removed& removed);
  /// Why there is no point in going on, if so.
  [[nodiscard]] std::optional<Error> hopeless() const;

  const gateway::Dialect dialect_;
  const net::DefaultRoute route_;
  const std::vector<Port> ports_;
  KeeperListener& listener_;
  gateway::Client client_;
  relay::Signal changed_;
  relay::TaskSet tasks_;
  std::optional<net::DatagramPort> port_, announcements_;
  std::optional<Prospects> prospects_;  // since run()
  std::optional<Error> broken_;
  bool stopping_ = false;
  bool abandoned_ = false;
};

}  // namespace culvert::mapper

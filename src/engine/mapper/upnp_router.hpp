// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "base/ip_address.hpp"
#include "crypto/random.hpp"
#include "engine/mapper/http_exchange.hpp"
#include "net/datagram_port.hpp"
#include "net/default_routes.hpp"
#include "proto/gateway/igd.hpp"
#include "proto/gateway/messages.hpp"

namespace culvert::mapper {

/// A home router that is asked by UPnP (Internet Gateway Device 1 and 2). Calls one after another. Errors
/// have no names in them: Errc::denied is the router's refusal, its number in `detail`; others are of the way
/// to it.
class UpnpRouter {
 public:
  UpnpRouter(const net::DefaultRoute& route, const boost::asio::any_io_executor& executor)
      : route_(route), executor_(executor) {}

  /// Finds it at the route's gateway, and learns what it has. Before all others, and when it is not there any
  /// more.
  [[nodiscard]] relay::Task<Result<void>> find();
  /// Where it was found: with IPv6, whoever says that it is a router.
  [[nodiscard]] const std::optional<boost::asio::ip::address>& host() const { return host_; }

  /// Its address outside.
  [[nodiscard]] relay::Task<Result<IpAddress>> outside_address();

  struct Mapping {
    gateway::Protocol protocol;
    std::uint16_t inside, outside;
    std::uint32_t lease;  ///< seconds; 0: without an end
  };
  /// What it has become: `outside` is another one if that was taken, or 0: any; and `lease` is 0 if it takes
  /// no other.
  [[nodiscard]] relay::Task<Result<Mapping>> map(Mapping wanted, crypto::Random& random);
  /// What map() or renew() has asked for last: after an error that is no answer it may be there.
  [[nodiscard]] const Mapping& asked_for() const { return asked_for_; }
  /// The same as it is, for as long again.
  [[nodiscard]] relay::Task<Result<Mapping>> renew(Mapping mapping);
  [[nodiscard]] relay::Task<Result<void>> unmap(gateway::Protocol protocol, std::uint16_t outside);
  enum class Holder : std::uint8_t { we, another };
  /// Who has this port of the router; Errc::denied: nobody, or it does not say.
  [[nodiscard]] relay::Task<Result<Holder>> holder_of(Mapping mapping);

  /// Lets everybody in to a port of ours, of IPv6: the number of the pinhole.
  [[nodiscard]] relay::Task<Result<std::string>> open_pinhole(gateway::Protocol protocol, std::uint16_t port,
                                                              std::uint32_t lease);
  [[nodiscard]] relay::Task<Result<void>> renew_pinhole(const std::string& number, std::uint32_t lease);
  [[nodiscard]] relay::Task<Result<void>> close_pinhole(const std::string& number);

  /// The call that waits returns soon, and every other one: Errc::cancelled.
  void cancel();

 private:
  struct Search;
  [[nodiscard]] relay::Task<void> search(Search& search, std::optional<Result<void>>& found);
  [[nodiscard]] relay::Task<void> hear(Search& search);
  [[nodiscard]] bool may_be_router(const gateway::HttpUrl& where,
                                   const boost::asio::ip::address& sender) const;
  [[nodiscard]] relay::Task<Result<void>> describe(const gateway::HttpUrl& where);
  [[nodiscard]] boost::asio::ip::address address_of(const gateway::HttpUrl& where) const;
  [[nodiscard]] relay::Task<Result<HttpAnswer>> exchange(const gateway::HttpUrl& where,
                                                         std::string soap_action, std::string body);
  [[nodiscard]] relay::Task<Result<gateway::igd::Reply>> act(
      const std::optional<gateway::igd::Service>& service, std::string_view action,
      std::span<const gateway::igd::Argument> arguments);
  [[nodiscard]] relay::Task<Result<Mapping>> try_map(Mapping wanted, bool any_outside);

  const net::DefaultRoute route_;
  const boost::asio::any_io_executor executor_;
  gateway::igd::Device device_;
  Mapping asked_for_{};
  std::optional<boost::asio::ip::address> host_;
  HttpExchange* exchange_ = nullptr;        // that runs
  net::DatagramPort* searching_ = nullptr;  // that is heard
  bool is_cancelled_ = false;
};

}  // namespace culvert::mapper

// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/judged_connect.hpp"

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "net/addresses.hpp"

namespace culvert::relay {

namespace {

// Which end it is about: the own one, where that was chosen.
DialError connect_failed_from(const net::ConnectOptions& options, const Error& error) {
  DialError failure = connect_failed(error);
  if (options.bind_addresses.empty()) return failure;
  if (error.detail == EPERM && options.transparent) {
    if (const auto may = net::may_be_transparent(); !may)
      failure.message = "connect failed: " + may.error().message;
  } else if (error.detail == EADDRNOTAVAIL || error.detail == EADDRINUSE) {
    failure.message += fmt::format(
        " (from {}: {})",
        net::to_text(boost::asio::ip::tcp::endpoint(options.bind_addresses.front(), options.bind_port)),
        options.bind_port == 0 ? "no address of this machine"
                               : "no address of this machine, or another connection to there has the port");
  } else if (error.detail == EAFNOSUPPORT) {
    failure.message += fmt::format(" (from {})", options.bind_addresses.front().to_string());
  }
  return failure;
}

}  // namespace

DialError not_permitted(const files::Decision& decision) {
  return {Refusal::prohibited, "not permitted: " + decision.reason, {decision.rule}};
}

DialError connect_failed(const Error& error) {
  return {refusal_for(error), "connect failed: " + error.message};
}

net::Resolver::Requester requester_of(const Endpoint& origin) {
  const auto address = address_of(origin);
  if (!address) return "no address";
  return std::string(as_text(address->bytes().first(address->is_v4() ? 4 : 8)));
}

Task<Resolved> resolve_judged(net::Resolver& resolver, HostPort place, net::Family family, ConnectJudge judge,
                              net::Resolver::Requester requester) {
  if (judge) {
    if (const auto before = judge(place.host, place.port, std::nullopt); !before)
      co_return std::unexpected(not_permitted(before));
  }
  auto found = co_await resolver.resolve(place.host, place.port, family, std::move(requester));
  if (!found) {
    const auto reason =
        found.error().code == Errc::limit ? Refusal::too_many_names : refusal_for(found.error());
    co_return std::unexpected(DialError{reason, net::cannot_resolve(place.host, found.error()).message});
  }
  if (judge) {
    files::Decision denied;
    std::erase_if(*found, [&](const auto& endpoint) {
      auto decision = judge(place.host, place.port, net::ip_address_of(endpoint.address()));
      if (decision) return false;
      denied = std::move(decision);
      return true;
    });
    if (found->empty()) co_return std::unexpected(not_permitted(denied));
  }
  // From an IPv4 address only IPv4 can be reached.
  for (auto& endpoint : *found) endpoint.address(net::unmapped(endpoint.address()));
  co_return std::move(*found);
}

Task<Connected> connect_judged(net::Resolver& resolver, HostPort place, net::Family family,
                               net::ConnectOptions options, ConnectJudge judge,
                               net::Resolver::Requester requester) {
  auto found =
      co_await resolve_judged(resolver, std::move(place), family, std::move(judge), std::move(requester));
  if (!found) co_return std::unexpected(std::move(found).error());
  auto socket = co_await net::connect_tcp(std::move(*found), options);
  if (!socket) co_return std::unexpected(connect_failed_from(options, socket.error()));
  co_return std::move(*socket);
}

}  // namespace culvert::relay

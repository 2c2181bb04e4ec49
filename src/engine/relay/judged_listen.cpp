// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/judged_listen.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <boost/asio/this_coro.hpp>

#include "engine/relay/direct_dialer.hpp"
#include "engine/relay/listener_source.hpp"
#include "net/addresses.hpp"
#include "net/listener_set.hpp"

namespace culvert::relay {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

class JudgedSource final : public BoundSource {
 public:
  JudgedSource(std::vector<net::Listener> listeners, const tcp::endpoint& bound,
               std::vector<IpAddress> expected, ConnectJudge judge)
      : inner_(std::move(listeners)),
        bound_(HostPort{bound.address().to_string(), bound.port()}),
        expected_(std::move(expected)),
        judge_(std::move(judge)) {}

  [[nodiscard]] Task<Result<std::unique_ptr<Pending>>> next() override { return inner_.next(); }
  void stop() override { inner_.stop(); }
  [[nodiscard]] std::string name() const override { return inner_.name(); }
  [[nodiscard]] const Endpoint& bound() const override { return bound_; }
  [[nodiscard]] bool lets_in(const Endpoint& peer) const override {
    const auto address = address_of(peer);
    if (!address) return false;
    if (!expected_.empty()) return std::ranges::find(expected_, *address) != expected_.end();
    const auto& place = std::get<HostPort>(peer);
    return !judge_ ||
           (judge_(place.host, place.port, std::nullopt) && judge_(place.host, place.port, address));
  }

 private:
  ListenerSource inner_;
  const Endpoint bound_;
  const std::vector<IpAddress> expected_;  // none: whom the rules let in
  const ConnectJudge judge_;
};

std::vector<tcp::endpoint> where_to_listen(const std::optional<asio::ip::address>& peer,
                                           const net::ConnectOptions& options) {
  if (!options.bind_addresses.empty()) return {{options.bind_addresses.front(), 0}};
  if (peer) {
    if (const auto facing = net::own_address_towards(*peer)) return {{*facing, 0}};
  }
  return {{asio::ip::address_v4::any(), 0}, {asio::ip::address_v6::any(), 0}};
}

}  // namespace

Task<Bound> listen_judged(net::Resolver& resolver, HostPort peer, net::Family family,
                          net::ConnectOptions options, ConnectJudge judge,
                          net::Resolver::Requester requester) {
  const auto literal = address_of(peer);
  const bool is_anybody = literal && literal->is_unspecified();
  std::optional<asio::ip::address> faced;
  if (literal && !is_anybody) faced = net::asio_address_of(*literal);
  std::vector<IpAddress> expected;
  if (!is_anybody && peer.port != 0) {
    const auto found =
        co_await resolve_judged(resolver, std::move(peer), family, judge, std::move(requester));
    if (!found) co_return std::unexpected(found.error());
    faced = found->front().address();
    for (const tcp::endpoint& one : *found)
      expected.push_back(net::ip_address_of(one.address()).normalised());
  }
  auto listeners = net::listen_on_all(co_await asio::this_coro::executor, where_to_listen(faced, options));
  if (!listeners)
    co_return std::unexpected(
        DialError{refusal_for(listeners.error()), std::move(listeners).error().message});
  const tcp::endpoint bound = listeners->front().endpoint().value();
  co_return std::make_unique<JudgedSource>(std::move(*listeners), bound, std::move(expected),
                                           std::move(judge));
}

}  // namespace culvert::relay

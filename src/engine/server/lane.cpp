// SPDX-License-Identifier: Apache-2.0
#include "engine/server/lane.hpp"

#include <exception>

#include <boost/asio/co_spawn.hpp>

#include "base/log.hpp"

namespace culvert::server {

void Lane::serve(net::StreamSocket socket, Ticket ticket, const boost::asio::ip::tcp::endpoint& from) {
  const auto peer = std::make_shared<Peer>(context_, executor_, ticket, from);
  peers_[ticket] = peer;
  if (stopped_) peer->stop(Duration::zero());
  boost::asio::co_spawn(executor_, peer->run(std::move(socket)),
                        [this, ticket](const std::exception_ptr& exception) {
                          if (exception) log(LogLevel::error, "a session failed for lack of memory");
                          peers_.erase(ticket);
                          gone_(ticket);
                        });
}

void Lane::make_room(Ticket ticket) {
  if (const auto found = peers_.find(ticket); found != peers_.end()) found->second->make_room();
}

void Lane::accounts_changed() {
  for (const auto& [ticket, peer] : peers_) peer->accounts_changed();
}

void Lane::tell() const {
  for (const auto& [ticket, peer] : peers_) peer->tell();
}

void Lane::stop(Duration time) {
  stopped_ = true;
  for (const auto& [ticket, peer] : peers_) peer->stop(time);
}

}  // namespace culvert::server

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "engine/server/context.hpp"
#include "engine/server/peer.hpp"
#include "net/stream_socket.hpp"

namespace culvert::server {

/// The clients whose sessions one thread carries. All calls on that thread.
class Lane {
 public:
  using Ticket = Guard::Ticket;

  /// `gone`: called with each client that was served and has gone.
  Lane(boost::asio::any_io_executor executor, std::shared_ptr<Context> context,
       std::function<void(Ticket)> gone)
      : executor_(std::move(executor)), context_(std::move(context)), gone_(std::move(gone)) {}

  [[nodiscard]] const boost::asio::any_io_executor& executor() const { return executor_; }

  void serve(net::StreamSocket socket, Ticket ticket, const boost::asio::ip::tcp::endpoint& from);
  /// As those of Peer: of one client, if it is here still, and of all.
  void make_room(Ticket ticket);
  void accounts_changed();
  void tell() const;
  /// Who comes later is stopped as well.
  void stop(Duration time);

 private:
  const boost::asio::any_io_executor executor_;
  const std::shared_ptr<Context> context_;
  const std::function<void(Ticket)> gone_;
  std::map<Ticket, std::shared_ptr<Peer>> peers_;
  bool stopped_ = false;
};

}  // namespace culvert::server

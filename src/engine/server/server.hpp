// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "crypto/random.hpp"
#include "engine/relay/signal.hpp"
#include "engine/server/context.hpp"
#include "engine/server/lane.hpp"
#include "net/listener.hpp"

namespace culvert::server {

/// An SSH server that only forwards. It takes clients on one thread, on which all calls are, and shares them
/// out to several.
class Server {
 public:
  /// `threads`: those that carry sessions, each of whose contexts has its Readiness; the first is the
  /// caller's. The others have stopped before this is destroyed. All else must outlive it.
  Server(std::vector<boost::asio::any_io_executor> threads, const ServerOptions& options,
         Privileges& privileges, HostKeys& host_keys, Accounts& accounts, net::Resolver& resolver,
         crypto::Random& random);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Takes clients from these until stop() (success) or until a listener fails. Returns when all clients are
  /// gone. Once.
  [[nodiscard]] relay::Task<Result<void>> run(std::vector<net::Listener> listeners);
  /// Takes no more clients; streams that live may end by themselves for `time`.
  void stop(Duration time);
  /// Says in the log who is logged in, and what each session has carried.
  void tell();

 private:
  void look_for_changes();
  [[nodiscard]] relay::Task<void> accept_all(net::Listener& listener);
  void arrived(net::Accepted connection);
  /// A proxy says whose the connection is.
  [[nodiscard]] relay::Task<void> hear(net::StreamSocket socket, boost::asio::ip::tcp::endpoint proxy);
  /// `is_theirs`: `from` is who the connection belongs to, and answers for it; else the proxy that opened it.
  void admit(net::StreamSocket socket, const boost::asio::ip::tcp::endpoint& from, bool is_theirs);
  void serve(net::StreamSocket socket, Guard::Ticket ticket, const boost::asio::ip::tcp::endpoint& from);
  void gone(Guard::Ticket ticket);

  /// One of the threads, as this one sees it.
  struct Thread {
    std::unique_ptr<Lane> lane;
    std::size_t clients = 0;
  };
  /// Has the lane of a thread do something.
  void post(Thread& thread, std::function<void(Lane&)> what);
  void post_to_all(const std::function<void(Lane&)>& what);

  const boost::asio::any_io_executor executor_;
  const std::shared_ptr<Context> context_;  // sessions that end with the executor outlive the server
  std::vector<Thread> threads_;
  std::vector<net::Listener> listeners_;
  std::map<Guard::Ticket, Thread*> clients_;
  std::list<boost::asio::cancellation_signal> heard_;  // of those whose header is read
  relay::Signal changed_;
  std::optional<Error> failed_;
  std::size_t accepting_ = 0;
  std::uint64_t seen_version_ = 0;  // of the accounts
  bool somebody_left_ = false;
  bool stopped_ = false;
};

}  // namespace culvert::server

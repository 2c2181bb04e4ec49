// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/reach.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "engine/connection/socket_carrier.hpp"
#include "net/as_tuple.hpp"
#include "net/cancelled.hpp"
#include "net/command.hpp"
#include "net/connect.hpp"
#include "net/interface.hpp"
#include "net/passed_socket.hpp"
#include "net/timer.hpp"
#include "proto/socks/client.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::tunnel {

namespace asio = boost::asio;

namespace {

constexpr Duration kProxyPatience = std::chrono::seconds(30);
// The end of a program's output is seen before its status.
constexpr Duration kStatusPatience = std::chrono::milliseconds(500);

std::string place_of(const std::string& host, std::uint16_t port) {
  return fmt::format("{} port {}", printable(host), port);
}

net::Family family_of(AddressFamily family) {
  switch (family) {
    case AddressFamily::ipv4:
      return net::Family::ipv4;
    case AddressFamily::ipv6:
      return net::Family::ipv6;
    case AddressFamily::any:
      break;
  }
  return net::Family::any;
}

relay::Task<Result<net::ConnectOptions>> connect_options(const ServerOptions& server,
                                                         net::Resolver& resolver) {
  net::ConnectOptions how;
  how.attempt_timeout = server.connect_timeout;
  how.liveness.keepalive = server.tcp_keepalive;
  if (!server.bind_address.empty()) {
    const auto found = co_await resolver.resolve(server.bind_address, 0, family_of(server.family));
    if (!found) {
      co_return fail(found.error().code, fmt::format("cannot connect from {}: {}",
                                                     printable(server.bind_address), found.error().message));
    }
    for (const auto& endpoint : *found) how.bind_addresses.push_back(endpoint.address());
    co_return how;
  }
  if (server.bind_interface.empty()) co_return how;
  auto addresses = net::interface_addresses(server.bind_interface);
  if (!addresses) {
    co_return fail(addresses.error().code,
                   fmt::format("cannot connect from interface {}: {}", printable(server.bind_interface),
                               addresses.error().message));
  }
  how.bind_addresses = *std::move(addresses);
  co_return how;
}

bool is_reached_from(const std::vector<asio::ip::address>& sources,
                     const std::vector<asio::ip::tcp::endpoint>& addresses) {
  const auto has_source = [&](const asio::ip::tcp::endpoint& to) {
    return std::ranges::any_of(sources,
                               [&](const auto& from) { return from.is_v6() == to.address().is_v6(); });
  };
  return sources.empty() || std::ranges::any_of(addresses, has_source);
}

// To the server, or to the proxy before it.
relay::Task<Result<net::StreamSocket>> connect_to(const ServerOptions& server, std::string host,
                                                  std::uint16_t port, net::Resolver& resolver) {
  const auto how = co_await connect_options(server, resolver);
  if (!how) co_return std::unexpected(how.error());
  auto addresses = co_await resolver.resolve(host, port, family_of(server.family));
  if (!addresses) {
    if (addresses.error().code == Errc::cancelled) co_return std::unexpected(std::move(addresses).error());
    co_return std::unexpected(net::cannot_resolve(host, std::move(addresses).error()));
  }
  if (!is_reached_from(how->bind_addresses, *addresses)) {
    co_return fail(Errc::system, fmt::format("cannot connect to {} from {}: they are of different families",
                                             place_of(host, port), how->bind_addresses[0].to_string()));
  }
  for (std::uint32_t round = 1;; ++round) {
    for (const auto& address : *addresses)
      log(LogLevel::verbose, "connecting to {} [{}]", place_of(host, port), net::to_text(address));
    auto socket = co_await net::connect_tcp(*addresses, *how);
    const bool stopped = net::is_cancelled(co_await asio::this_coro::cancellation_state);
    if (socket || stopped || socket.error().code == Errc::cancelled) co_return socket;
    Error error = std::move(socket).error();
    error.message = fmt::format("cannot connect to {}: {}", place_of(host, port), error.message);
    if (round >= server.connection_attempts) co_return std::unexpected(std::move(error));
    log(LogLevel::verbose, "{}; trying again", error.message);
    net::Timer pause(co_await asio::this_coro::executor, std::chrono::seconds(1));
    (void)co_await pause.async_wait(net::kTuple);
    if (net::is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
  }
}

// One byte at a time: what comes behind the proxy's answer is the server's.
relay::Task<Result<void>> negotiate(net::StreamSocket& socket, socks::Client& proxy) {
  using State = socks::Client::State;
  while (proxy.state() == State::talking || !proxy.output().empty()) {
    if (!proxy.output().empty()) {
      const auto sent = socket.write(proxy.output());
      if (sent.failed()) co_return std::unexpected(net::io_error("", sent.error));
      proxy.consume_output(sent.bytes);
      if (!sent.would_block()) continue;
      if (auto ready = co_await net::wait_writable(socket); !ready) co_return ready;
      continue;
    }
    std::uint8_t byte = 0;
    const auto got = socket.read(MutableBytes(&byte, 1));
    if (got.failed()) co_return std::unexpected(net::io_error("", got.error));
    if (got.would_block()) {
      if (auto ready = co_await net::wait_readable(socket); !ready) co_return ready;
    } else if (got.bytes == 0) {
      proxy.on_end();
    } else {
      (void)proxy.feed(ByteView(&byte, 1));
    }
  }
  if (proxy.state() == State::failed) co_return fail(Errc::closed, proxy.error());
  co_return Result<void>();
}

// Over a socket that is the server's, whoever connected it.
Reached reached_over(net::StreamSocket socket) {
  net::unpace_if_local(socket.native_handle());
  Reached reached;
  reached.peer = net::peer_endpoint(socket.native_handle());
  reached.carrier = std::make_unique<connection::SocketCarrier>(std::move(socket));
  return reached;
}

relay::Task<Result<Reached>> reach_directly(const ServerOptions& server, net::Resolver& resolver) {
  auto socket = co_await connect_to(server, server.host, server.port, resolver);
  if (!socket) co_return std::unexpected(std::move(socket).error());
  const bool kernel_asks = server.tcp_keepalive && server.asks_beside_kernel > Duration::zero() &&
                           net::set_keepalive(socket->native_handle(), server.timing.keepalive_interval,
                                              server.timing.keepalive_count);
  auto reached = reached_over(*std::move(socket));
  reached.kernel_asks = kernel_asks;
  co_return reached;
}

// Cancels what waits on a socket. The timer's handler may come when all is over.
class Deadline {
 public:
  /// Zero: none. `socket` must outlive it.
  Deadline(net::StreamSocket& socket, Duration time)
      : shared_(std::make_shared<Shared>(&socket)), timer_(socket.get_executor()) {
    if (time == Duration::zero()) return;
    timer_.expires_after(time);
    timer_.async_wait([shared = shared_](const boost::system::error_code& error) {
      if (error || shared->socket == nullptr) return;
      shared->passed = true;
      shared->socket->cancel();
    });
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  ~Deadline() { shared_->socket = nullptr; }

  [[nodiscard]] bool passed() const { return shared_->passed; }

 private:
  struct Shared {
    net::StreamSocket* socket;
    bool passed = false;
  };
  const std::shared_ptr<Shared> shared_;
  net::Timer timer_;
};

// ssh waits for the program's end, too. Nothing is gained by that: one that stays gets a SIGHUP with the end
// of the session.
relay::Task<Result<Reached>> receive_from(net::Command command, const ServerOptions& server) {
  const Deadline deadline(command.socket, server.connect_timeout);
  auto socket = co_await net::receive_socket(command.socket);
  if (!socket && deadline.passed())
    co_return fail(Errc::timed_out, "it passed no connection in time (ConnectTimeout)");
  if (!socket) co_return std::unexpected(std::move(socket).error());
  // Of a Unix socket these are not to be had.
  (void)net::set_no_delay(socket->native_handle(), true);
  if (server.tcp_keepalive) (void)net::set_keepalive(socket->native_handle(), true);
  auto reached = reached_over(*std::move(socket));
  reached.program = std::move(command.program);
  co_return reached;
}

relay::Task<Result<Reached>> reach_by_command(const ServerOptions& server, const ProxyCommand& proxy) {
  log(LogLevel::verbose, "executing proxy command: {}", printable(proxy.command, 400));
  const auto failed = [&](const Error& error) {
    if (error.code == Errc::cancelled) return std::unexpected(error);
    return fail(error.code, fmt::format("ProxyCommand {}: {}", printable(proxy.command), error.message));
  };
  auto command = net::start_command(co_await asio::this_coro::executor, proxy.command);
  if (!command) co_return failed(command.error());
  if (proxy.passes_socket) {
    const auto program = command->program;
    auto reached = co_await receive_from(*std::move(command), server);
    if (!reached) co_return failed(co_await with_end_of(program, std::move(reached).error()));
    co_return reached;
  }
  co_return Reached{std::make_unique<connection::SocketCarrier>(std::move(command->socket)),
                    {},
                    std::move(command->program)};
}

relay::Task<Result<Reached>> reach_via(const ServerOptions& server, const ProxyVia& via,
                                       net::Resolver& resolver) {
  auto socket = co_await connect_to(server, via.host, via.port, resolver);
  if (!socket) co_return std::unexpected(std::move(socket).error());
  std::optional<socks::Login> login;
  if (!via.user.empty()) login = socks::Login{via.user, via.password->clone()};
  // A proxy that says nothing cannot hold us up for ever.
  const Deadline deadline(
      *socket, server.connect_timeout > Duration::zero() ? server.connect_timeout : kProxyPatience);
  socks::Client proxy(via.is_http ? socks::Protocol::http : socks::Protocol::socks5,
                      socks::Address{server.host, server.port}, std::move(login));
  const auto done = co_await negotiate(*socket, proxy);
  if (!done) {
    co_return fail(
        deadline.passed() ? Errc::timed_out : done.error().code,
        fmt::format("cannot connect to {} through {}: {}", place_of(server.host, server.port),
                    place_of(via.host, via.port), deadline.passed() ? "no answer" : done.error().message));
  }
  net::unpace_if_local(socket->native_handle());
  co_return Reached{std::make_unique<connection::SocketCarrier>(*std::move(socket)), {}, {}};
}

}  // namespace

relay::Task<Error> with_end_of(std::shared_ptr<const net::Child> program, Error error) {
  // A server that says goodbye ends the program, not the other way round.
  const bool is_its_end = error.code == Errc::reset || error.code == Errc::system ||
                          (error.code == Errc::closed && !ssh::is_goodbye(error));
  if (program == nullptr || !is_its_end) co_return error;
  if (const auto status = co_await program->ended_within(kStatusPatience))
    error.message += fmt::format(" (ProxyCommand {})", net::text_of_end(*status));
  co_return error;
}

relay::Task<Result<Reached>> reach(const ServerOptions& server, net::Resolver& resolver) {
  if (const auto* command = std::get_if<ProxyCommand>(&server.way)) return reach_by_command(server, *command);
  if (const auto* via = std::get_if<ProxyVia>(&server.way)) return reach_via(server, *via, resolver);
  return reach_directly(server, resolver);
}

}  // namespace culvert::tunnel

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/result.hpp"
#include "net/shared_port.hpp"
#include "net/stream_socket.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

struct UnixListenOptions {
  /// StreamLocalBindUnlink: remove what is at the path, if it is a socket. Otherwise an existing file
  /// refuses, as in ssh.
  bool unlink_existing = false;
  /// Remove a socket at the path if nobody listens there: what a killed process has left.
  bool replace_dead = false;
  /// StreamLocalBindMask: the bits that the socket's permissions lack; 0177 leaves it to its owner alone.
  unsigned mask = 0177;
};

/// A TCP socket that is bound and does not listen yet, without SO_REUSEPORT, so that a port in use is
/// refused. IPv6 sockets take IPv6 alone. Port 0: the kernel chooses. The error's message is the line for the
/// user: "cannot listen on 127.0.0.1:80: permission denied (ports below 1024 need CAP_NET_BIND_SERVICE; try
/// 8080)".
[[nodiscard]] Result<UniqueFd> bind_tcp(const boost::asio::ip::tcp::endpoint& endpoint);
/// The same for one of several sockets at one port.
[[nodiscard]] Result<UniqueFd> bind_shared_tcp(const boost::asio::ip::tcp::endpoint& endpoint, Shares shares);
/// Whoever may do that for us.
using Binder = std::function<Result<UniqueFd>(const boost::asio::ip::tcp::endpoint&)>;

/// A connection, and whose it is; no address of a Unix socket's.
struct Accepted {
  StreamSocket socket;
  std::optional<boost::asio::ip::tcp::endpoint> peer;
};

/// A listening TCP or Unix socket. All calls on the thread of its executor.
class Listener {
 public:
  /// Errors as of bind_tcp().
  [[nodiscard]] static Result<Listener> listen_tcp(const boost::asio::any_io_executor& executor,
                                                   const boost::asio::ip::tcp::endpoint& endpoint,
                                                   const Binder& bind = bind_tcp);
  /// `path` may be "@name": UnixAddress. Else the file is made with its permissions from the start, and
  /// removed by close() if it is still ours.
  [[nodiscard]] static Result<Listener> listen_unix(const boost::asio::any_io_executor& executor,
                                                    const std::string& path, UnixListenOptions options = {});

  Listener(Listener&&) noexcept;
  Listener& operator=(Listener&&) noexcept;
  ~Listener();  ///< closes

  /// The next connection: TCP_NODELAY set, not paced if from this machine. Goes on by itself where the
  /// process or the system is out of descriptors (DescriptorRelief; else pauses of 100 ms, a log line) and
  /// where a client left before it was taken. Errc::cancelled after close() or Asio cancellation; any other
  /// error ends the listener. One call at a time.
  [[nodiscard]] boost::asio::awaitable<Result<Accepted>> accept();

  /// For the connections that come from now on; Unix sockets need none.
  [[nodiscard]] Result<void> set_liveness(const Liveness& liveness);

  /// Stops listening; what the kernel had queued is reset. A waiting accept() returns. Any number of times.
  void close();

  /// "127.0.0.1:15432" with the real port, "/run/x.sock": fit for a terminal.
  [[nodiscard]] const std::string& name() const;
  /// The port that the kernel gave; 0 for a Unix socket.
  [[nodiscard]] std::uint16_t port() const;
  /// The same with its address; none for a Unix socket.
  [[nodiscard]] std::optional<boost::asio::ip::tcp::endpoint> endpoint() const;

 private:
  struct State;
  explicit Listener(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace culvert::net

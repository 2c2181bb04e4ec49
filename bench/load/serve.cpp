// SPDX-License-Identifier: Apache-2.0
// The far end of every measurement: all servers in one thread, until standard input ends.
//   sink    throws away what comes, and answers the end of it with the number of bytes (8, big-endian)
//   reader  the same, but reads all of it
//   source  sends until the other end has had enough: it may also just end its own direction
//   echo    sends back what comes
// and those of UDP (datagram_servers.hpp).
#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <unordered_map>
#include <vector>

#include "load/datagram_servers.hpp"
#include "load/socket.hpp"
#include "load/tool.hpp"

namespace culvert::load {
namespace {

enum class Kind : std::uint8_t { sink, reader, source, echo };

struct Connection {
  Fd fd;
  Kind kind;
  std::uint64_t total = 0;
  std::vector<std::uint8_t> unsent;  ///< echo: what the other end did not take yet
};

/// Turns of one connection before the others have theirs.
constexpr int kTurns = 8;

class Server {
 public:
  Server(const Address& echo, const Address& sink) : datagram_echo_(ipv4(echo)), datagram_sink_(ipv4(sink)) {
    epoll_.add(datagram_echo_.get(), EPOLLIN);
    epoll_.add(datagram_sink_.get(), EPOLLIN);
  }

  [[nodiscard]] int datagram_echo_port() const { return port_of(datagram_echo_.get()); }
  [[nodiscard]] int datagram_sink_port() const { return port_of(datagram_sink_.get()); }

  /// Its port.
  int open(Kind kind, const Address& address) {
    Fd fd = listen_on(address);
    const int port = port_of(fd.get());
    epoll_.add(fd.get(), EPOLLIN);
    listeners_.emplace(fd.get(), Connection{std::move(fd), kind, 0, {}});
    return port;
  }

  void run() {
    epoll_.add(STDIN_FILENO, EPOLLIN);
    for (;;) {
      for (const epoll_event& event : epoll_.wait(after(3600))) {
        if (event.data.fd == STDIN_FILENO) return;
        if (event.data.fd == datagram_echo_.get()) {
          datagram_echo_.turn();
        } else if (event.data.fd == datagram_sink_.get()) {
          datagram_sink_.turn();
        } else if (const auto it = listeners_.find(event.data.fd); it != listeners_.end()) {
          accept_all(it->second);
        } else if (const auto found = connections_.find(event.data.fd); found != connections_.end()) {
          if ((event.events & EPOLLRDHUP) != 0 || !turn(found->second)) connections_.erase(found);
        }
      }
    }
  }

 private:
  void accept_all(const Connection& listener) {
    for (int i = 0; i < 64; ++i) {
      Fd fd(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd.is_open()) return;
      set_no_delay(fd.get());
      const int number = fd.get();
      epoll_.add(number, listener.kind == Kind::source ? EPOLLOUT | EPOLLRDHUP : EPOLLIN);
      connections_.insert_or_assign(number, Connection{std::move(fd), listener.kind, 0, {}});
    }
  }

  /// False when the connection is over.
  bool turn(Connection& connection) {
    switch (connection.kind) {
      case Kind::sink:
        return sink(connection, Discard::in_kernel);
      case Kind::reader:
        return sink(connection, Discard::by_reading);
      case Kind::source:
        return source(connection);
      case Kind::echo:
        return echo(connection);
    }
    return false;
  }

  static bool sink(Connection& connection, Discard how) {
    for (int i = 0; i < kTurns; ++i) {
      const Progress progress = discard_some(connection.fd.get(), how, connection.total);
      if (progress == Progress::would_block) return true;
      if (progress == Progress::ended) {
        std::uint8_t answer[8];
        for (int b = 0; b < 8; ++b) answer[b] = static_cast<std::uint8_t>(connection.total >> (56 - 8 * b));
        return send_all(connection.fd.get(), answer) && false;
      }
    }
    return true;
  }

  static bool source(Connection& connection) {
    for (int i = 0; i < kTurns; ++i) {
      const Progress progress = send_some(connection.fd.get(), connection.total);
      if (progress == Progress::would_block) return true;
      if (progress == Progress::ended) return false;
    }
    return true;
  }

  bool echo(Connection& connection) {
    const int fd = connection.fd.get();
    if (connection.unsent.empty()) {
      std::uint8_t buffer[65536];
      const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
      if (n < 0) return errno == EAGAIN || errno == EINTR;
      if (n == 0) return false;
      const ssize_t sent = ::send(fd, buffer, static_cast<std::size_t>(n), MSG_NOSIGNAL);
      if (sent == n) return true;
      if (sent < 0 && errno != EAGAIN) return false;
      connection.unsent.assign(buffer + std::max<ssize_t>(sent, 0), buffer + n);
      epoll_.modify(fd, EPOLLOUT);
      return true;
    }
    const ssize_t sent = ::send(fd, connection.unsent.data(), connection.unsent.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    connection.unsent.erase(connection.unsent.begin(), connection.unsent.begin() + sent);
    if (connection.unsent.empty()) epoll_.modify(fd, EPOLLIN);
    return true;
  }

  Epoll epoll_;
  DatagramEcho datagram_echo_;
  DatagramSink datagram_sink_;
  std::unordered_map<int, Connection> listeners_;
  std::unordered_map<int, Connection> connections_;
};

}  // namespace

int serve(Options& options) {
  const std::string bind = options.text("bind", "127.0.0.1");
  const auto address = [&](std::string_view option) {
    return parse_address(fmt::format("{}:{}", bind, options.number(option, 0)));
  };
  const Address sink = address("sink-port");
  const Address reader = address("reader-port");
  const Address source = address("source-port");
  const Address echo = address("echo-port");
  Server server(address("udp-echo-port"), address("udp-sink-port"));
  options.finish();
  raise_file_limit();
  const int sink_port = server.open(Kind::sink, sink);
  const int reader_port = server.open(Kind::reader, reader);
  const int source_port = server.open(Kind::source, source);
  const int echo_port = server.open(Kind::echo, echo);
  fmt::print(
      "{{\"sink\": {}, \"reader\": {}, \"source\": {}, \"echo\": {}, \"udp_echo\": {}, \"udp_sink\": {}}}\n",
      sink_port, reader_port, source_port, echo_port, server.datagram_echo_port(),
      server.datagram_sink_port());
  std::fflush(stdout);
  server.run();
  return 0;
}

}  // namespace culvert::load

// SPDX-License-Identifier: Apache-2.0
#include "load/socket.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>
#include <vector>

namespace culvert::load {
namespace {

constexpr std::size_t kBulk = 1u << 20;

std::vector<std::uint8_t>& bulk_buffer() {
  static std::vector<std::uint8_t> buffer(kBulk, 0x5a);
  return buffer;
}

}  // namespace

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

const sockaddr* Address::get() const { return reinterpret_cast<const sockaddr*>(&storage); }

Address parse_address(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) die(fmt::format("'{}' is not ADDRESS:PORT", text));
  std::string host(text.substr(0, colon));
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [rest, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || rest != digits.data() + digits.size()) die(fmt::format("'{}': bad port", text));
  Address address;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    host = host.substr(1, host.size() - 2);
    if (inet_pton(AF_INET6, host.c_str(), &in6.sin6_addr) != 1) die(fmt::format("'{}': bad address", text));
    std::memcpy(&address.storage, &in6, sizeof in6);
    address.length = sizeof in6;
    return address;
  }
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &in.sin_addr) != 1) die(fmt::format("'{}': bad address", text));
  std::memcpy(&address.storage, &in, sizeof in);
  address.length = sizeof in;
  return address;
}

void set_no_delay(int fd) {
  const int on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) die_errno("TCP_NODELAY");
}

Fd start_connect(const Address& address) {
  Fd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) die_errno("socket");
  set_no_delay(fd.get());
  if (::connect(fd.get(), address.get(), address.length) != 0 && errno != EINPROGRESS) return Fd();
  return fd;
}

Fd connect_to(const Address& address, double seconds) {
  Fd fd = start_connect(address);
  if (!fd.is_open()) die_errno("connect");
  pollfd wait{fd.get(), POLLOUT, 0};
  if (::poll(&wait, 1, poll_timeout(after(seconds))) != 1) die("connect: timed out");
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) die_errno("SO_ERROR");
  if (error != 0) die(fmt::format("connect: {}", std::strerror(error)));
  int blocking = 0;
  if (ioctl(fd.get(), FIONBIO, &blocking) != 0) die_errno("FIONBIO");
  return fd;
}

Fd listen_on(const Address& address) {
  Fd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) die_errno("socket");
  const int on = 1;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) die_errno("SO_REUSEADDR");
  if (::bind(fd.get(), address.get(), address.length) != 0) die_errno("bind");
  if (::listen(fd.get(), 4096) != 0) die_errno("listen");
  return fd;
}

int port_of(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) die_errno("getsockname");
  in_port_t port = 0;  // at the same place in both families
  std::memcpy(&port, reinterpret_cast<const char*>(&storage) + offsetof(sockaddr_in, sin_port), sizeof port);
  return ntohs(port);
}

bool send_all(int fd, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

bool receive_all(int fd, std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) die_errno("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) die_errno("setrlimit");
}

Epoll::Epoll() : fd_(epoll_create1(EPOLL_CLOEXEC)) {
  if (!fd_.is_open()) die_errno("epoll_create1");
}

void Epoll::add(int fd, std::uint32_t events) {
  epoll_event event{events, {.fd = fd}};
  if (epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) != 0) die_errno("epoll_ctl");
}

void Epoll::modify(int fd, std::uint32_t events) {
  epoll_event event{events, {.fd = fd}};
  if (epoll_ctl(fd_.get(), EPOLL_CTL_MOD, fd, &event) != 0) die_errno("epoll_ctl");
}

std::span<const epoll_event> Epoll::wait(Clock::time_point deadline) {
  const int n = epoll_wait(fd_.get(), events_, static_cast<int>(std::size(events_)), poll_timeout(deadline));
  if (n < 0 && errno != EINTR) die_errno("epoll_wait");
  return {events_, static_cast<std::size_t>(n < 0 ? 0 : n)};
}

Progress discard_some(int fd, Discard how, std::uint64_t& total) {
  std::vector<std::uint8_t>& buffer = bulk_buffer();
  const int flags = MSG_DONTWAIT | (how == Discard::in_kernel ? MSG_TRUNC : 0);
  const ssize_t n = ::recv(fd, how == Discard::in_kernel ? nullptr : buffer.data(), buffer.size(), flags);
  if (n > 0) {
    total += static_cast<std::uint64_t>(n);
    return Progress::moved;
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return Progress::would_block;
  return Progress::ended;
}

Progress send_some(int fd, std::uint64_t& total) {
  const std::vector<std::uint8_t>& buffer = bulk_buffer();
  const ssize_t n = ::send(fd, buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n > 0) {
    total += static_cast<std::uint64_t>(n);
    return Progress::moved;
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return Progress::would_block;
  return Progress::ended;
}

}  // namespace culvert::load

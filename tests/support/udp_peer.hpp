// SPDX-License-Identifier: Apache-2.0
// A client or a target that speaks UDP, on the test's own thread: nothing of it waits.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/udp.hpp>

#include "net/unique_fd.hpp"

namespace culvert::testing {

[[nodiscard]] inline boost::asio::ip::udp::endpoint udp_at(const std::string& address,
                                                           std::uint16_t port = 0) {
  return {boost::asio::ip::make_address(address), port};
}

class UdpPeer {
 public:
  using Endpoint = boost::asio::ip::udp::endpoint;
  struct Heard {
    std::string text;
    Endpoint from;
  };

  explicit UdpPeer(const Endpoint& at = udp_at("127.0.0.1"))
      : socket_(::socket(at.protocol().family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    const int room = 1 << 22;
    (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (::bind(socket_.get(), at.data(), static_cast<socklen_t>(at.size())) != 0)
      throw std::runtime_error(std::string("bind: ") + std::strerror(errno));
    auto length = static_cast<socklen_t>(local_.capacity());
    ::getsockname(socket_.get(), local_.data(), &length);
    local_.resize(length);
  }

  [[nodiscard]] const Endpoint& local() const { return local_; }
  [[nodiscard]] int fd() const { return socket_.get(); }

  void send(std::string_view text, const Endpoint& to) {
    if (::sendto(socket_.get(), text.data(), text.size(), 0, to.data(), static_cast<socklen_t>(to.size())) <
        0)
      throw std::runtime_error(std::string("sendto: ") + std::strerror(errno));
  }
  /// From now on to and from this one alone, and errors show in hear().
  void connect(const Endpoint& to) {
    if (::connect(socket_.get(), to.data(), static_cast<socklen_t>(to.size())) != 0)
      throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
  }

  [[nodiscard]] std::optional<Heard> hear() {
    // One for all calls: a fresh one is 64 KiB to clear, and under a sanitizer that is most of a test that
    // polls.
    static thread_local std::array<char, 65536> buffer;
    Heard heard;
    auto length = static_cast<socklen_t>(heard.from.capacity());
    const ssize_t got =
        ::recvfrom(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT, heard.from.data(), &length);
    if (got < 0) return std::nullopt;
    heard.from.resize(length);
    heard.text.assign(buffer.data(), static_cast<std::size_t>(got));
    return heard;
  }
  [[nodiscard]] std::vector<std::string> hear_all() {
    std::vector<std::string> all;
    while (auto one = hear()) all.push_back(std::move(one->text));
    return all;
  }
  /// Answers what has come with `prefix` and the same. How many.
  std::size_t echo(std::string_view prefix = "") {
    std::size_t count = 0;
    for (; auto one = hear(); ++count) send(std::string(prefix) + one->text, one->from);
    return count;
  }

 private:
  net::UniqueFd socket_;
  Endpoint local_;
};

}  // namespace culvert::testing

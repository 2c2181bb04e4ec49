// SPDX-License-Identifier: Apache-2.0
// The far end of net::DatagramSender: a Unix datagram socket at a path, or at '@' and an abstract name.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>

#include "net/unique_fd.hpp"

namespace culvert::testing {

class DatagramEar {
 public:
  explicit DatagramEar(const std::string& name) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    if (name.size() >= sizeof address.sun_path) throw std::runtime_error("too long: " + name);
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) {
      throw std::runtime_error("cannot bind " + name + ": " + std::strerror(errno));
    }
  }

  /// The oldest datagram that nobody has heard, or "(nothing)".
  std::string hear() {
    char buffer[8192];
    const ssize_t got = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    return got < 0 ? "(nothing)" : std::string(buffer, static_cast<std::size_t>(got));
  }

 private:
  net::UniqueFd socket_;
};

}  // namespace culvert::testing

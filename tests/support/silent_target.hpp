// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <vector>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <boost/asio/ip/tcp.hpp>

#include "net/unique_fd.hpp"

namespace culvert::testing {

/// A loopback address where connecting neither succeeds nor fails: a listener whose queue is full, so that
/// the kernel drops each further SYN.
class SilentTarget {
 public:
  explicit SilentTarget(const char* address = "127.0.0.1")
      : endpoint_(boost::asio::ip::make_address(address), 0),
        listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (::bind(listener_.get(), endpoint_.data(), static_cast<socklen_t>(endpoint_.size())) != 0 ||
        ::listen(listener_.get(), 0) != 0) {
      throw std::runtime_error("cannot make a silent target");
    }
    auto length = static_cast<socklen_t>(endpoint_.capacity());
    ::getsockname(listener_.get(), endpoint_.data(), &length);
    for (int i = 0; i < 16; ++i) {
      net::UniqueFd filler(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      ::connect(filler.get(), endpoint_.data(), static_cast<socklen_t>(endpoint_.size()));
      pollfd waits = {filler.get(), POLLOUT, 0};
      const bool silent = ::poll(&waits, 1, 200) == 0;
      fillers_.push_back(std::move(filler));
      if (silent) return;
    }
    throw std::runtime_error("the queue of a silent target does not fill");
  }

  [[nodiscard]] const boost::asio::ip::tcp::endpoint& endpoint() const { return endpoint_; }

 private:
  boost::asio::ip::tcp::endpoint endpoint_;
  net::UniqueFd listener_;
  std::vector<net::UniqueFd> fillers_;
};

}  // namespace culvert::testing

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "load/socket.hpp"
#include "load/tool.hpp"

namespace culvert::load {

/// Something to say, and the answer to wait for before anything else is said.
struct Exchange {
  std::vector<std::uint8_t> words;
  std::vector<std::uint8_t> beginning;  ///< of the answer, if it is a good one
  std::size_t answer_size;

  [[nodiscard]] bool accepts(std::span<const std::uint8_t> answer) const;
};

/// The way of a client to its server.
struct Route {
  Address first;                     ///< what is connected to
  std::vector<Exchange> greeting{};  ///< what comes before the connection is one with the server
};

/// Through the SOCKS 5 proxy (RFC 1928), without authentication. Each question waits for the answer to the
/// one before, as most clients do it; an answer that names no IPv4 address is not understood.
[[nodiscard]] Route socks_route(const Address& proxy, const Address& to);

/// "--to A:P": straight there; with "--socks A:P" through the proxy at that place.
[[nodiscard]] Route route_from(Options& options);

/// As connect_to(), and the greeting is done.
[[nodiscard]] Fd connect_along(const Route& route, double seconds);

}  // namespace culvert::load

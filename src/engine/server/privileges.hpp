// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/public_key.hpp"
#include "net/unique_fd.hpp"

namespace culvert::server {

/// What a server needs that whoever parses the bytes of strangers should not be able to do by itself: its
/// host keys, files that the plan or the rules name, and ports that only root may bind. Calls block, briefly.
/// Any thread.
class Privileges {
 public:
  virtual ~Privileges() = default;

  /// Never empty; a key's place is its number for sign().
  [[nodiscard]] virtual const std::vector<crypto::PublicKey>& host_keys() const = 0;
  /// The signature blob (string algorithm, string signature) of that host key.
  [[nodiscard]] virtual Result<Bytes> sign(std::size_t key, std::string_view algorithm, ByteView message) = 0;
  /// A file, for reading. Errc::system with errno in `detail`.
  [[nodiscard]] virtual Result<net::UniqueFd> open(const std::string& path) = 0;
  /// As net::bind_tcp().
  [[nodiscard]] virtual Result<net::UniqueFd> bind(const boost::asio::ip::tcp::endpoint& endpoint) = 0;
  /// A descriptor that becomes readable when none of that works any more; -1: that cannot be.
  [[nodiscard]] virtual int end() const { return -1; }
};

}  // namespace culvert::server

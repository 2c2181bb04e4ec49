// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "crypto/private_key.hpp"
#include "engine/server/privileges.hpp"

namespace culvert::server {

/// What this process may do itself.
class OwnPrivileges final : public Privileges {
 public:
  /// Reads the private host keys in `files`. `made`: one of them that is made (ed25519, mode 0600) if it is
  /// not there, with a line in the log. One that others may read is refused. Blocks.
  [[nodiscard]] static Result<std::unique_ptr<OwnPrivileges>> load(const std::vector<std::string>& files,
                                                                   const std::string& made);

  [[nodiscard]] const std::vector<crypto::PublicKey>& host_keys() const override { return public_; }
  [[nodiscard]] Result<Bytes> sign(std::size_t key, std::string_view algorithm, ByteView message) override;
  [[nodiscard]] Result<net::UniqueFd> open(const std::string& path) override;
  [[nodiscard]] Result<net::UniqueFd> bind(const boost::asio::ip::tcp::endpoint& endpoint) override;

 private:
  OwnPrivileges() = default;
  std::vector<crypto::PrivateKey> keys_;
  std::vector<crypto::PublicKey> public_;
};

}  // namespace culvert::server

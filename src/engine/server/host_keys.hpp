// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>

#include "base/result.hpp"
#include "crypto/certificate.hpp"
#include "crypto/private_key.hpp"

namespace culvert::server {

/// The keys that a server proves itself by. They sign on a thread of their own, so that a login holds up no
/// stream.
class HostKeys {
 public:
  /// Reads the files. `made`: one of them that is made (ed25519, mode 0600) if it is not there, with a line
  /// in the log. A private key that others may read is refused, as is a certificate of none of the keys.
  /// Blocks.
  [[nodiscard]] static Result<std::unique_ptr<HostKeys>> load(
      const std::vector<std::string>& files, const std::vector<std::string>& certificate_files,
      const std::string& made);
  ~HostKeys();
  HostKeys(const HostKeys&) = delete;
  HostKeys& operator=(const HostKeys&) = delete;

  [[nodiscard]] const std::vector<crypto::PublicKey>& keys() const { return public_; }
  [[nodiscard]] const std::vector<crypto::Certificate>& certificates() const { return certificates_; }

  /// `done` gets the signature blob, on `executor`; empty if there is no such key, or it cannot.
  void sign(const boost::asio::any_io_executor& executor, const crypto::PublicKey& key, std::string algorithm,
            Bytes message, std::function<void(Bytes)> done);

 private:
  HostKeys() : pool_(1) {}

  std::vector<crypto::PrivateKey> keys_;
  std::vector<crypto::PublicKey> public_;
  std::vector<crypto::Certificate> certificates_;
  boost::asio::thread_pool pool_;
};

}  // namespace culvert::server

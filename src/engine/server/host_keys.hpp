// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>

#include "base/result.hpp"
#include "crypto/certificate.hpp"
#include "engine/server/privileges.hpp"

namespace culvert::server {

/// The keys that a server proves itself by. Each signs on a thread of its own, so that a login holds up no
/// stream, and who asks for many signatures of a slow key (RSA) holds up nobody who takes another.
class HostKeys {
 public:
  /// Those of `privileges`, which must outlive it, with their certificates. One of none of the keys is
  /// refused. Blocks.
  [[nodiscard]] static Result<std::unique_ptr<HostKeys>> load(
      Privileges& privileges, const std::vector<std::string>& certificate_files);
  ~HostKeys();
  HostKeys(const HostKeys&) = delete;
  HostKeys& operator=(const HostKeys&) = delete;

  [[nodiscard]] const std::vector<crypto::PublicKey>& keys() const { return privileges_.host_keys(); }
  [[nodiscard]] const std::vector<crypto::Certificate>& certificates() const { return certificates_; }

  /// `done` gets the signature blob, on `executor`; empty if there is no such key, or it cannot. One that is
  /// no longer wanted (`unwanted`) when its turn comes is not made, and `done` is destroyed on any thread.
  void sign(const boost::asio::any_io_executor& executor, const crypto::PublicKey& key, std::string algorithm,
            Bytes message, std::stop_token unwanted, std::function<void(Bytes)> done);

 private:
  explicit HostKeys(Privileges& privileges);

  Privileges& privileges_;
  std::vector<crypto::Certificate> certificates_;
  std::list<boost::asio::thread_pool> threads_;  // one for each key
};

}  // namespace culvert::server

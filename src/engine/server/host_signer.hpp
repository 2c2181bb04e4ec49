// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "engine/server/host_keys.hpp"

namespace culvert::server {

/// The signatures of host keys that one connection needs. One of them at a time is in a queue of all
/// connections, and none when this one has gone: who opens many connections, or asks for much on one, keeps
/// others waiting no longer than each of his live connections takes for one. All calls on one thread.
class HostSigner : public std::enable_shared_from_this<HostSigner> {
 public:
  using Done = std::function<void(Bytes)>;

  /// `keys` must outlive it; `executor` is that of the caller.
  HostSigner(HostKeys& keys, boost::asio::any_io_executor executor)
      : keys_(keys), executor_(std::move(executor)) {}
  ~HostSigner() { stop(); }
  HostSigner(const HostSigner&) = delete;
  HostSigner& operator=(const HostSigner&) = delete;

  /// `done` gets the signature blob later, in the order of the calls; empty if there is no such key, or it
  /// cannot. Not after stop().
  void sign(crypto::PublicKey key, std::string algorithm, Bytes message, Done done);
  /// The connection is over: what is not signed yet will not be.
  void stop();

 private:
  struct Job {
    crypto::PublicKey key;
    std::string algorithm;
    Bytes message;
    Done done;
  };

  void next();

  HostKeys& keys_;
  const boost::asio::any_io_executor executor_;
  std::deque<Job> jobs_;  // the first one is in the queue of its key
  std::stop_source stopped_;
};

}  // namespace culvert::server

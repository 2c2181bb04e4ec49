// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "daemon/privileged/helper_process.hpp"
#include "engine/server/privileges.hpp"
#include "net/message_channel.hpp"
#include "proto/helper/request.hpp"

namespace culvert::daemon {

/// The worker's side: what this process may not do itself, its privileged helper does.
class HelperClient final : public server::Privileges {
 public:
  /// Waits for the helper's first words. `end` becomes readable when the helper ends. `helper` ends with
  /// `channel`. The error is the helper's own.
  [[nodiscard]] static Result<std::unique_ptr<HelperClient>> meet(net::MessageChannel channel,
                                                                  net::UniqueFd end, HelperProcess helper);
  ~HelperClient() override;
  HelperClient(const HelperClient&) = delete;
  HelperClient& operator=(const HelperClient&) = delete;

  [[nodiscard]] const std::vector<crypto::PublicKey>& host_keys() const override { return host_keys_; }
  [[nodiscard]] Result<Bytes> sign(std::size_t key, std::string_view algorithm, ByteView message) override;
  /// The helper is asked only for what this process may not open or bind.
  [[nodiscard]] Result<net::UniqueFd> open(const std::string& path) override;
  [[nodiscard]] Result<net::UniqueFd> bind(const boost::asio::ip::tcp::endpoint& endpoint) override;
  [[nodiscard]] int end() const override { return end_.get(); }

 private:
  struct Answer {
    Bytes content;
    net::UniqueFd descriptor;
  };

  HelperClient(net::MessageChannel channel, net::UniqueFd end, HelperProcess helper)
      : helper_(std::move(helper)), channel_(std::move(channel)), end_(std::move(end)) {}
  [[nodiscard]] Result<Answer> call(const helper::Request& request);
  [[nodiscard]] Result<net::UniqueFd> call_for_descriptor(const helper::Request& request);

  const HelperProcess helper_;  // waits for its end
  std::mutex mutex_;            // a signature is asked for on its own thread
  net::MessageChannel channel_;
  net::UniqueFd end_;
  std::vector<crypto::PublicKey> host_keys_;
};

/// The helper's first words: its public host keys, or why it cannot start.
[[nodiscard]] Bytes encode_greeting(const Result<std::vector<crypto::PublicKey>>& host_keys);
/// Errc::malformed, or the helper's error.
[[nodiscard]] Result<std::vector<crypto::PublicKey>> decode_greeting(ByteView message);

}  // namespace culvert::daemon

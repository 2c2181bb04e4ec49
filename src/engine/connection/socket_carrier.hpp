// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "engine/connection/carrier.hpp"

namespace culvert::connection {

/// A connected TCP or Unix socket.
class SocketCarrier final : public Carrier {
 public:
  explicit SocketCarrier(net::StreamSocket socket) : socket_(std::move(socket)) {}

  [[nodiscard]] boost::asio::any_io_executor executor() override;
  [[nodiscard]] net::Transferred read(MutableBytes into) override;
  [[nodiscard]] net::Transferred write(ByteView bytes) override;
  [[nodiscard]] relay::Task<void> readable() override;
  void when_writable(std::function<void()> go_on) override;
  void cancel() override;
  void close() override;
  [[nodiscard]] bool fills_by_itself() const override { return true; }
  void wake_at(std::size_t bytes) override;
  void limit_unsent(std::size_t bytes) override;
  [[nodiscard]] bool has_its_address() const override;
  void acknowledge_now() override;

 private:
  net::StreamSocket socket_;
};

}  // namespace culvert::connection

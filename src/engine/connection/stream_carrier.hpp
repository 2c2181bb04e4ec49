// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "engine/connection/carrier.hpp"

namespace culvert::connection {

/// A stream that another dialer made: the session of a jump host's next hop.
class StreamCarrier final : public Carrier {
 public:
  StreamCarrier(boost::asio::any_io_executor executor, std::unique_ptr<relay::Stream> stream);
  ~StreamCarrier() override;

  [[nodiscard]] boost::asio::any_io_executor executor() override;
  [[nodiscard]] net::Transferred read(MutableBytes into) override;
  [[nodiscard]] net::Transferred write(ByteView bytes) override;
  [[nodiscard]] relay::Task<void> readable() override;
  void when_writable(std::function<void()> go_on) override;
  void cancel() override;
  void close() override;
  [[nodiscard]] bool fills_by_itself() const override { return false; }

 private:
  struct State;
  [[nodiscard]] static relay::Task<void> fetch(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace culvert::connection

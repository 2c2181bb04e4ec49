// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "engine/relay/dialer.hpp"
#include "engine/tunnel/tunnel.hpp"

namespace culvert::tunnel {

/// A place on the server that is listened at through all connections of a tunnel: each new one asks for it
/// again, the port that the server chose included. What the server still holds for a connection that it has
/// not given up yet is asked for until it is free, less and less often (ask_again_in()).
class LastingSource final : public relay::BoundSource {
 public:
  LastingSource(std::shared_ptr<Tunnel::State> tunnel, std::unique_ptr<relay::BoundSource> first);
  ~LastingSource() override;

  [[nodiscard]] relay::Task<Result<std::unique_ptr<relay::Pending>>> next() override;
  void stop() override;
  [[nodiscard]] std::string name() const override;
  [[nodiscard]] const relay::Endpoint& bound() const override;

 private:
  struct Shared;
  [[nodiscard]] static relay::Task<Result<void>> ask_again(std::shared_ptr<Shared> shared);
  std::shared_ptr<Shared> shared_;
};

}  // namespace culvert::tunnel

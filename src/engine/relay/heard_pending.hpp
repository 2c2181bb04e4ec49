// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "base/assert.hpp"
#include "engine/relay/source.hpp"

namespace culvert::relay {

/// What became of a stream that was heard first and whose client waits for no answer.
class HeardPending final : public Pending {
 public:
  HeardPending(std::unique_ptr<Stream> stream, std::optional<Endpoint> destination, KnownVisit visit,
               std::shared_ptr<TargetGroup> targets = {})
      : stream_(std::move(stream)),
        destination_(std::move(destination)),
        visit_(std::move(visit)),
        targets_(std::move(targets)) {}
  ~HeardPending() override {
    if (stream_) stream_->abort();
  }

  [[nodiscard]] const std::optional<Endpoint>& destination() const override { return destination_; }
  [[nodiscard]] std::shared_ptr<TargetGroup> targets() const override { return targets_; }
  [[nodiscard]] const Endpoint& origin() const override { return visit_.origin(); }
  [[nodiscard]] std::optional<Endpoint> connected_to() const override { return visit_.connected_to(); }
  [[nodiscard]] std::unique_ptr<Stream> accept() override {
    CULVERT_ASSERT(stream_ != nullptr);
    return std::exchange(stream_, nullptr);
  }
  /// By a reset, so that it cannot be taken for an answer without content.
  void refuse(Refusal) override {
    CULVERT_ASSERT(stream_ != nullptr);
    std::exchange(stream_, nullptr)->abort();
  }

 private:
  std::unique_ptr<Stream> stream_;
  const std::optional<Endpoint> destination_;
  const KnownVisit visit_;
  const std::shared_ptr<TargetGroup> targets_;
};

}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "engine/relay/source.hpp"

namespace culvert::testing {

/// A stream that wants to be carried, as from a listener: names no destination, and is reset when refused.
class PlainPending final : public relay::Pending {
 public:
  explicit PlainPending(std::unique_ptr<relay::Stream> stream,
                        relay::KnownVisit visit = relay::KnownVisit(relay::HostPort{"127.0.0.1", 40000}))
      : stream_(std::move(stream)), visit_(std::move(visit)) {}
  const std::optional<relay::Endpoint>& destination() const override { return none_; }
  const relay::Endpoint& origin() const override { return visit_.origin(); }
  std::optional<relay::Endpoint> connected_to() const override { return visit_.connected_to(); }
  std::unique_ptr<relay::Stream> accept() override { return std::move(stream_); }
  void refuse(relay::Refusal) override { stream_.reset(); }

 private:
  std::unique_ptr<relay::Stream> stream_;
  const std::optional<relay::Endpoint> none_;
  const relay::KnownVisit visit_;
};

}  // namespace culvert::testing

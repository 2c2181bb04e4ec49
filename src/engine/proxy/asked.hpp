// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>

#include <boost/asio/any_io_executor.hpp>

#include "base/time.hpp"
#include "engine/proxy/conversation.hpp"
#include "engine/relay/source.hpp"

namespace culvert::proxy {

/// What a client of the front has asked for.
class Asked final : public relay::Pending, private relay::Negotiation {
 public:
  /// `conversation` has heard the request. `patience`: how long the client may take for an answer.
  Asked(boost::asio::any_io_executor executor, std::unique_ptr<Conversation> conversation,
        relay::KnownVisit visit, Duration patience);
  ~Asked() override;

  [[nodiscard]] const std::optional<relay::Endpoint>& destination() const override { return destination_; }
  [[nodiscard]] const relay::Endpoint& origin() const override { return visit_.origin(); }
  [[nodiscard]] std::optional<relay::Endpoint> connected_to() const override { return visit_.connected_to(); }
  [[nodiscard]] relay::Negotiation* negotiation() override { return this; }
  [[nodiscard]] std::unique_ptr<relay::Stream> accept() override;
  void refuse(relay::Refusal reason) override;

 private:
  [[nodiscard]] bool wants_listener() const override;
  [[nodiscard]] relay::Task<Result<void>> tell_connected() override;
  [[nodiscard]] relay::Task<Result<void>> tell_listening(const relay::Endpoint& where) override;
  [[nodiscard]] bool expects(const relay::Endpoint& peer) const override;
  [[nodiscard]] relay::Task<Result<void>> tell_arrived(const relay::Endpoint& peer) override;
  [[nodiscard]] relay::Task<void> gone() override;

  const boost::asio::any_io_executor executor_;
  std::unique_ptr<Conversation> conversation_;
  const std::optional<relay::Endpoint> destination_;
  const relay::KnownVisit visit_;
  const Duration patience_;
};

}  // namespace culvert::proxy

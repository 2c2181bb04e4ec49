// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/address.hpp>

#include "base/time.hpp"
#include "engine/proxy/conversation.hpp"
#include "engine/proxy/udp_association.hpp"
#include "engine/relay/source.hpp"

namespace culvert::proxy {

/// What a client of the front has asked for.
class Asked final : public relay::Pending, private relay::Negotiation {
 public:
  struct Options {
    Duration patience;  ///< how long the client may take for an answer
    /// FrontOptions::advertise.
    std::optional<boost::asio::ip::address> advertise = {};
  };
  /// `conversation` has heard the request.
  Asked(boost::asio::any_io_executor executor, std::unique_ptr<Conversation> conversation,
        relay::KnownVisit visit, Options options);
  ~Asked() override;

  [[nodiscard]] const std::optional<relay::Endpoint>& destination() const override { return destination_; }
  [[nodiscard]] const relay::Endpoint& origin() const override { return visit_.origin(); }
  [[nodiscard]] std::optional<relay::Endpoint> connected_to() const override { return visit_.connected_to(); }
  [[nodiscard]] relay::Negotiation* negotiation() override { return this; }
  [[nodiscard]] std::unique_ptr<relay::Stream> accept() override;
  void refuse(relay::Refusal reason) override;

 private:
  [[nodiscard]] bool wants_datagrams() const override;
  [[nodiscard]] relay::Task<relay::Carried> carry_datagrams(relay::DatagramCarrier& carrier,
                                                            relay::Rates rates,
                                                            relay::CarriedDatagrams& so_far) override;
  [[nodiscard]] bool wants_listener() const override;
  [[nodiscard]] relay::Task<Result<void>> tell_connected(const relay::Endpoint& here) override;
  [[nodiscard]] relay::Task<Result<void>> tell_listening(const relay::Endpoint& where) override;
  [[nodiscard]] bool expects(const relay::Endpoint& peer) const override;
  [[nodiscard]] relay::Task<Result<void>> tell_arrived(const relay::Endpoint& peer) override;
  [[nodiscard]] relay::Task<void> gone() override;

  [[nodiscard]] std::optional<UdpClient> udp_client() const;
  [[nodiscard]] std::optional<boost::asio::ip::address> reached_at() const;

  const boost::asio::any_io_executor executor_;
  std::unique_ptr<Conversation> conversation_;
  const std::optional<relay::Endpoint> destination_;
  const relay::KnownVisit visit_;
  const Options options_;
};

}  // namespace culvert::proxy

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include <boost/asio/ip/address.hpp>

#include "base/time.hpp"
#include "engine/relay/hearing_source.hpp"
#include "proto/socks/accounts.hpp"

namespace culvert::proxy {

struct FrontOptions {
  /// Who may use it; null: everybody who reaches it.
  std::shared_ptr<const socks::Accounts> accounts;
  /// How long a client may take to say what it wants, and to take an answer.
  Duration patience = std::chrono::seconds(30);
  /// At most so many that have not said it yet. One more pushes out the one who has waited longest.
  std::size_t limit = 1024;
  /// Where clients are told to send their datagrams (UDP ASSOCIATE), and to have somebody come who may come
  /// to any address of ours (BIND), with the port that is there: the address outside of a NAT. None: the
  /// address that their connection came to.
  std::optional<boost::asio::ip::address> advertise = {};
};

/// A source whose clients say where they want to go: SOCKS 4, 4a, 5 or HTTP CONNECT, on the streams of
/// another source. All of them are heard at once, so a silent one holds up no other. A pending has the
/// destination that its client named, and a Negotiation; accept() gives the inner stream itself, early data
/// in front; refuse() sends the answer that fits, and ends in order so that the client can read it.
/// Refusal::closed, which is the end of all, sends none. A client that wants its datagrams carried is told
/// where to send them; they are what its pending is about, until its connection ends (udp_association.hpp).
class Front final : public relay::HearingSource {
 public:
  Front(std::unique_ptr<relay::Source> inner, FrontOptions options);
};

}  // namespace culvert::proxy

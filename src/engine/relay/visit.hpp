// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>

#include "engine/relay/endpoint.hpp"

namespace culvert::relay {

/// How somebody came to a source: what a dialer may pass on to the destination (the originator in the opening
/// of a channel, a PROXY protocol header). Asked only where it is needed: an answer may cost a system call.
class Visit {
 public:
  virtual ~Visit() = default;
  /// Who came ("originator" in RFC 4254 section 7.2, "source" in the PROXY protocol). As long as this.
  [[nodiscard]] virtual const Endpoint& origin() const = 0;
  /// The address that they connected to ("address that was connected", "destination"), which need not be
  /// numeric where another program tells it; none if nobody knows.
  [[nodiscard]] virtual std::optional<Endpoint> connected_to() const { return std::nullopt; }
};

/// A visit as a value.
class KnownVisit final : public Visit {
 public:
  explicit KnownVisit(Endpoint origin, std::optional<Endpoint> connected_to = std::nullopt)
      : origin_(std::move(origin)), connected_to_(std::move(connected_to)) {}
  /// All that `visit` can tell.
  [[nodiscard]] static KnownVisit of(const Visit& visit) {
    return KnownVisit(visit.origin(), visit.connected_to());
  }

  [[nodiscard]] const Endpoint& origin() const override { return origin_; }
  [[nodiscard]] std::optional<Endpoint> connected_to() const override { return connected_to_; }

 private:
  Endpoint origin_;
  std::optional<Endpoint> connected_to_;
};

}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"
#include "engine/relay/hearing_source.hpp"

namespace culvert::relay {

/// Where streams go, by the name that their TLS client asks for.
class SniRoutes {
 public:
  /// As of Pending: one place, and the group of all where there are several.
  struct Route {
    Endpoint destination;
    std::shared_ptr<TargetGroup> targets = {};
  };

  /// `name`, in any case: "db.example.org"; "*.example.org", which is every name that ends so, at any depth,
  /// but not example.org itself; or "*": every other name, clients that say none, and those that say what is
  /// none (an address, a dot at its end). Errc::usage: it is none of these, or was added before.
  [[nodiscard]] Result<void> add(std::string_view name, Route route);

  /// The route of the name itself, else of the longest "*..." that it ends in; null: there is none. `name` in
  /// lower case.
  [[nodiscard]] const Route* find(const std::optional<std::string>& name) const;

 private:
  std::map<std::string, Route, std::less<>> routes_;  // "db.example.org"; ".example.org", "" for the others
};

struct SniSourceOptions {
  /// How long a client may take to say its name.
  Duration patience = std::chrono::seconds(10);
  /// At most so many that have not said it. One more pushes out the one who has waited longest.
  std::size_t limit = 1024;
};

/// A source on another one, whose streams are TLS: each goes where its client's server name says, and nothing
/// of it is consumed, so the destination ends TLS itself. A name that leads nowhere is answered with the
/// alert unrecognized_name (RFC 6066 section 3), none with missing_extension (RFC 8446 section 9.2); what is
/// no TLS is reset. Refusals are in the log (RefusalLog). Clients of the inner source must not wait for an
/// answer (Negotiation), and its own destinations do not count.
class SniSource final : public HearingSource {
 public:
  SniSource(std::unique_ptr<Source> inner, SniRoutes routes, SniSourceOptions options = {});
};

}  // namespace culvert::relay

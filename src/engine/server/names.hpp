// SPDX-License-Identifier: Apache-2.0
// Who and what lines of the log are about: in words for people, in fields for programs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/log_fields.hpp"
#include "engine/relay/endpoint.hpp"

namespace culvert::server {

/// A client: "192.0.2.7:51234", and "alice@192.0.2.7:51234" once it has logged in. In fields: source_address,
/// source_port, and then user and fingerprint. Cheap to copy.
class ClientName {
 public:
  ClientName(std::string address, std::uint16_t port);

  /// From now on it is this user (printable), with the key of this fingerprint.
  void logged_in(std::string user, std::string fingerprint);

  [[nodiscard]] const std::string& text() const { return facts_->text; }
  /// Without the user.
  [[nodiscard]] std::string place() const;

 private:
  friend void add_fields(LogFields& fields, const ClientName& name);

  struct Facts {
    relay::HostPort source;
    std::string user, fingerprint;  // empty before the login
    std::string text;
  };
  std::shared_ptr<const Facts> facts_;
};

/// Who opened a stream (RFC 4254 section 7.2).
enum class Direction : std::uint8_t {
  direct,     ///< the client, to a destination from here (-L, -D, -W)
  forwarded,  ///< somebody who came to a listener of the client (-R)
};
[[nodiscard]] std::string_view to_string(Direction direction);

/// A stream: "alice@192.0.2.7:51234 -> 10.0.0.5:5432", "alice@192.0.2.7:51234 <- 203.0.113.9:40000". In
/// fields: those of its client, direction, destination_... (of a forwarded one: the listener as the client
/// asked for it) and origin_... (of a direct one: as the client says).
struct StreamName {
  ClientName client;
  Direction direction;
  relay::Endpoint destination, origin;

  [[nodiscard]] std::string text() const;
};
void add_fields(LogFields& fields, const StreamName& name);

/// Of the streams of one of its forwards: the client and the direction.
[[nodiscard]] LogContext context_of(const ClientName& client, Direction direction);

}  // namespace culvert::server

template <>
struct fmt::formatter<culvert::server::ClientName> : fmt::formatter<std::string_view> {
  auto format(const culvert::server::ClientName& name, fmt::format_context& context) const {
    return fmt::formatter<std::string_view>::format(name.text(), context);
  }
};

template <>
struct fmt::formatter<culvert::server::StreamName> : fmt::formatter<std::string_view> {
  auto format(const culvert::server::StreamName& name, fmt::format_context& context) const {
    return fmt::formatter<std::string_view>::format(name.text(), context);
  }
};

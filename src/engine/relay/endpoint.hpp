// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <fmt/format.h>

#include "base/ip_address.hpp"
#include "base/log_fields.hpp"

namespace culvert::relay {

/// A name or address, as the user or client gave it (not resolved), and a port 0..65535.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const HostPort&) const = default;
};

/// A Unix socket in the file system.
struct UnixPath {
  std::string path;
  bool operator==(const UnixPath&) const = default;
};

using Endpoint = std::variant<HostPort, UnixPath>;

/// "127.0.0.1:5432", "[::1]:5432", "/run/x.sock": for people, fit for a terminal.
[[nodiscard]] std::string to_string(const Endpoint& endpoint);

/// The address that it is, as rules see it: normalised, without a zone; none for a name or a Unix socket.
[[nodiscard]] std::optional<IpAddress> address_of(const Endpoint& endpoint);

/// NAME_host and NAME_port, or NAME_path; nothing for a Unix socket without a path.
void add_fields(LogFields& fields, std::string_view name, const Endpoint& endpoint);

}  // namespace culvert::relay

template <>
struct fmt::formatter<culvert::relay::Endpoint> : fmt::formatter<std::string_view> {
  auto format(const culvert::relay::Endpoint& endpoint, fmt::format_context& context) const {
    return fmt::formatter<std::string_view>::format(culvert::relay::to_string(endpoint), context);
  }
};

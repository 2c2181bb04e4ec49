// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ip_address.hpp"

namespace culvert::gateway {

/// Where a device of UPnP is spoken with: "http://192.168.1.1:5000/rootDesc.xml". Names are not resolved: a
/// router says its address.
struct HttpUrl {
  IpAddress host;
  std::uint16_t port = 80;
  std::string path = "/";  ///< with its query: printable ASCII without spaces

  static constexpr std::size_t kLongest = 512;
  [[nodiscard]] static std::optional<HttpUrl> parse(std::string_view text);
  /// Another URL of the same host, named absolutely or relative to this one (RFC 3986 section 5.2, without
  /// dots). None: it is no URL, or leads to another host.
  [[nodiscard]] std::optional<HttpUrl> resolve(std::string_view reference) const;
  /// "192.168.1.1:5000", "[2001:db8::1]:5000"
  [[nodiscard]] std::string authority() const;
  bool operator==(const HttpUrl&) const = default;
};

}  // namespace culvert::gateway

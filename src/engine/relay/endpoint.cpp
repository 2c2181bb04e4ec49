// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/endpoint.hpp"

#include <fmt/format.h>

#include "base/text.hpp"

namespace culvert::relay {

std::string to_string(const Endpoint& endpoint) {
  if (const auto* unix_path = std::get_if<UnixPath>(&endpoint)) {
    return unix_path->path.empty() ? "unix socket" : printable(unix_path->path);
  }
  const auto& place = std::get<HostPort>(endpoint);
  return with_port(printable(place.host), place.port);
}

std::optional<IpAddress> address_of(const Endpoint& endpoint) {
  const auto* place = std::get_if<HostPort>(&endpoint);
  if (place == nullptr) return std::nullopt;
  const auto address = IpAddress::parse(std::string_view(place->host).substr(0, place->host.find('%')));
  if (!address) return std::nullopt;
  return address->normalised();
}

void add_fields(LogFields& fields, std::string_view name, const Endpoint& endpoint) {
  if (const auto* place = std::get_if<HostPort>(&endpoint)) {
    fields.add(fmt::format("{}_host", name), printable(place->host));
    fields.add(fmt::format("{}_port", name), place->port);
  } else if (const auto& path = std::get<UnixPath>(endpoint).path; !path.empty()) {
    fields.add(fmt::format("{}_path", name), printable(path));
  }
}

}  // namespace culvert::relay

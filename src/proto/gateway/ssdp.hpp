// SPDX-License-Identifier: Apache-2.0
// The search for devices (UPnP Device Architecture 1.1, section 1.3).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "proto/gateway/http_url.hpp"

namespace culvert::gateway::ssdp {

inline constexpr std::uint16_t kPort = 1900;
inline constexpr std::string_view kGroupV4 = "239.255.255.250";
inline constexpr std::string_view kGroupV6 = "ff02::c";

/// What a home router calls itself, newest first.
inline constexpr std::array<std::string_view, 2> kRouters = {
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1"};

/// One M-SEARCH. `host`: as in kGroupV4. Devices answer within `seconds`.
[[nodiscard]] std::string search(std::string_view host, std::string_view target, unsigned seconds);

/// Where the device is described that answers; none: that is no answer of a device that we look for.
[[nodiscard]] std::optional<HttpUrl> read_answer(ByteView datagram);

}  // namespace culvert::gateway::ssdp

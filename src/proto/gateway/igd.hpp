// SPDX-License-Identifier: Apache-2.0
// A home router as UPnP has it (Internet Gateway Device 1 and 2): its description, and the actions of its
// services. Their XML is read by libminiupnpc; its sockets are not used (ARCHITECTURE.md says why).
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "proto/gateway/http_url.hpp"

namespace culvert::gateway::igd {

/// Something that can be asked for actions.
struct Service {
  std::string type;  ///< "urn:schemas-upnp-org:service:WANIPConnection:2"
  HttpUrl control;
  /// WANIPConnection:2 has AddAnyPortMapping.
  [[nodiscard]] bool is_second_version() const { return type.ends_with(":2"); }
};

struct Device {
  std::optional<Service> connection;        ///< WANIPConnection, or WANPPPConnection: mappings of IPv4
  std::optional<Service> other_connection;  ///< where a router has both, one of them is not in use
  std::optional<Service> firewall;          ///< WANIPv6FirewallControl: pinholes
};

inline constexpr std::size_t kMostXml = 256 * 1024;

/// `xml`: at most kMostXml bytes, found at `from`, whose host is the only one that services may be at.
/// Errc::malformed: there is no such service in it.
[[nodiscard]] Result<Device> read_description(std::string_view xml, const HttpUrl& from);

using Argument = std::pair<std::string_view, std::string_view>;

/// The body of a request for an action (UPnP Device Architecture section 3.2.1).
[[nodiscard]] std::string action_body(std::string_view service, std::string_view action,
                                      std::span<const Argument> arguments);

/// What a router answers to an action.
struct Reply {
  int error = 0;                              ///< of UPnP: 718 and so on; 0: it is done
  std::map<std::string, std::string> values;  ///< arguments that come back, by name, each at most 128 bytes
};
/// `succeeded`: the status of HTTP says so. Errc::malformed: neither values nor an error.
[[nodiscard]] Result<Reply> read_reply(std::string_view xml, bool succeeded);

/// Errors of actions that are more than a refusal (IGD 1 and 2, WANIPConnection section 2.4).
inline constexpr int kInvalidArguments = 402, kConflict = 718, kSamePortsOnly = 724, kPermanentOnly = 725,
                     kOtherMechanism = 729;

/// For people: "it does not allow that (error 606)", ...
[[nodiscard]] std::string describe(int error);

}  // namespace culvert::gateway::igd

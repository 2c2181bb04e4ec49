// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/ip_address.hpp"
#include "base/time.hpp"
#include "engine/relay/stream.hpp"
#include "proto/gateway/messages.hpp"

namespace culvert::mapper {

/// A port of this machine that should be open to everybody.
struct Port {
  gateway::Protocol protocol = gateway::Protocol::tcp;
  std::uint16_t inside = 0;   ///< of this machine
  std::uint16_t outside = 0;  ///< of the router, if that can be had
  gateway::Nonce nonce{};     ///< of PCP: the same one as long as it is wanted, also by the next run
  auto operator<=>(const Port&) const = default;
};

/// How a port is open.
struct Opening {
  IpAddress address;     ///< outside
  std::uint16_t port{};  ///< outside
  Duration lifetime{};   ///< zero: until it is removed
  bool operator==(const Opening&) const = default;
};

/// What a PortKeeper tells. Ports are named by their place in what it was given.
class KeeperListener {
 public:
  virtual ~KeeperListener() = default;
  /// Again with each renewal, and when something of it has changed.
  virtual void opened(std::size_t port, const Opening& opening) = 0;
  /// The router says no; it will be asked again.
  virtual void refused(std::size_t port, const std::string& why) = 0;
  /// It is no longer open; it will be asked for again.
  virtual void lost(std::size_t port, const std::string& why) = 0;
  /// The router has forgotten everything; it is being asked again.
  virtual void restarted() = 0;
  /// The router is not to be found; what is open stays so for its time.
  virtual void silent(const std::string& why) = 0;
  /// After stop(): the router says that it is closed.
  virtual void closed(std::size_t port) = 0;
  /// After stop(): the router does not close it, but for what it says that is `left`.
  virtual void kept(std::size_t port, std::optional<Duration> left, const std::string& why) = 0;
};

/// One way to have one router open ports.
class PortKeeper {
 public:
  virtual ~PortKeeper() = default;
  /// "PCP", and who is asked, if that may be another one than the router of the route.
  [[nodiscard]] virtual std::string name() const = 0;
  /// Opens the ports, and keeps them open. Returns after stop(), when closed() or kept() is said of all that
  /// were asked for, or the router does not answer; or after abandon(); or because it is of no use here: the
  /// reason, without names ("no answer"). Once.
  [[nodiscard]] virtual relay::Task<Result<void>> run() = 0;
  /// May be said again, but not after run() has returned.
  virtual void stop() = 0;
  /// run() returns at once, whatever is open.
  virtual void abandon() = 0;
  /// The way to the router may have changed: looks whether all is as it was.
  virtual void refresh() = 0;
};

}  // namespace culvert::mapper

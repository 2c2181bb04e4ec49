// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"
#include "net/datagram_sender.hpp"

namespace culvert::daemon {

/// Who started the program as a service and wants to know how it does: systemd, or whoever else listens at
/// the socket that NOTIFY_SOCKET names (the protocol of sd_notify(3): one datagram of NAME=value lines for
/// each message, no answers). Where nobody asked, nothing is sent. Not thread-safe.
class ServiceManager {
 public:
  /// Nobody asked.
  ServiceManager() = default;

  /// What the environment says, for this process and the child it may fork for -f: NOTIFY_SOCKET,
  /// WATCHDOG_USEC, WATCHDOG_PID. Takes them out of it, so that no program started from here speaks in our
  /// place. Before threads exist. The error is a warning for the user: it names the variable.
  [[nodiscard]] static Result<ServiceManager> from_environment();

  /// The program does what it was started for. `status` as below.
  void ready(std::string_view status);
  /// One line that says what goes on, for `systemctl status`. A jammed manager misses it.
  void status(std::string_view status);
  /// The program has begun to end.
  void stopping(std::string_view status);
  /// Still alive: wanted every watchdog_interval(), or the manager ends the program.
  void alive();
  /// Half of the time that the manager waits; empty: it does not watch.
  [[nodiscard]] std::optional<Duration> watchdog_interval() const { return watchdog_interval_; }

 private:
  void send(const std::string& message, net::DatagramSender::Mode mode);

  std::optional<net::DatagramSender> sender_;
  pid_t started_as_ = 0;  // the process that the manager knows
  std::optional<Duration> watchdog_interval_;
};

}  // namespace culvert::daemon

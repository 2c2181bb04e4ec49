// SPDX-License-Identifier: Apache-2.0
#include "daemon/service_manager.hpp"

#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <cstdlib>

#include <fmt/format.h>

namespace culvert::daemon {
namespace {

// systemd reads no more than 4096 bytes of a message.
constexpr std::size_t kLongestStatus = 1024;
// "Ready" and "stopping" must arrive, and a manager is busy now and then. But nothing waits without a bound.
constexpr Duration kPatience = std::chrono::seconds(1);
constexpr auto kPatient = net::DatagramSender::Mode::patient;
constexpr auto kAtOnce = net::DatagramSender::Mode::at_once;

std::string take_variable(const char* name) {
  const char* value = std::getenv(name);
  std::string copy = value == nullptr ? "" : value;
  ::unsetenv(name);
  return copy;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

// WATCHDOG_PID says whom the watchdog is meant for; without it, for us.
std::optional<Duration> interval_of(const std::string& microseconds, const std::string& process) {
  const auto time = number(microseconds);
  if (!time || *time < 2 || *time > static_cast<std::uint64_t>(Duration::max().count())) return std::nullopt;
  if (!process.empty() && number(process) != static_cast<std::uint64_t>(::getpid())) return std::nullopt;
  return Duration(static_cast<Duration::rep>(*time / 2));
}

// A newline would begin an assignment of its own.
std::string status_line(std::string_view text) {
  if (text.size() > kLongestStatus) {
    std::size_t end = kLongestStatus;
    while (end > 0 && (static_cast<std::uint8_t>(text[end]) & 0xC0) == 0x80)
      --end;  // whole characters of UTF-8
    text = text.substr(0, end);
  }
  std::string line = "STATUS=" + std::string(text);
  for (char& c : line) {
    if (c == '\n') c = ' ';
  }
  return line;
}

}  // namespace

Result<ServiceManager> ServiceManager::from_environment() {
  const std::string name = take_variable("NOTIFY_SOCKET");
  const std::string watchdog_time = take_variable("WATCHDOG_USEC");
  const std::string watchdog_process = take_variable("WATCHDOG_PID");
  ServiceManager manager;
  if (name.empty()) return manager;
  auto sender = net::DatagramSender::make(name, kPatience);
  if (!sender) {
    return fail(sender.error().code, fmt::format("NOTIFY_SOCKET: {}; the service manager is told nothing",
                                                 sender.error().message));
  }
  manager.sender_ = std::move(*sender);
  manager.started_as_ = ::getpid();
  manager.watchdog_interval_ = interval_of(watchdog_time, watchdog_process);
  return manager;
}

void ServiceManager::ready(std::string_view status) {
  std::string message = "READY=1\n" + status_line(status);
  // After -f: the process that the manager knows leaves now, and this is the one to watch.
  if (::getpid() != started_as_) message += fmt::format("\nMAINPID={}", ::getpid());
  send(message, kPatient);
}

void ServiceManager::status(std::string_view status) { send(status_line(status), kAtOnce); }

void ServiceManager::stopping(std::string_view status) {
  send("STOPPING=1\n" + status_line(status), kPatient);
}

void ServiceManager::alive() { send("WATCHDOG=1", kAtOnce); }

void ServiceManager::send(const std::string& message, net::DatagramSender::Mode mode) {
  // Nobody there: nobody to tell.
  if (sender_) (void)sender_->send(message, mode);
}

}  // namespace culvert::daemon

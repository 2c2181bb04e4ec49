// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "load/tool.hpp"

namespace culvert::load {

/// A file descriptor that closes itself.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  void reset();
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;

  [[nodiscard]] const sockaddr* get() const;
};

/// "127.0.0.1:80" or "[::1]:80"; numbers only, names are not resolved.
[[nodiscard]] Address parse_address(std::string_view text);

/// Does not wait: the descriptor does not block and becomes writable when connected. Not open if refused at
/// once.
[[nodiscard]] Fd start_connect(const Address& address);
/// Connected, blocking, TCP_NODELAY; ends the program when that fails or takes longer than `seconds`.
[[nodiscard]] Fd connect_to(const Address& address, double seconds);
/// Listens without blocking.
[[nodiscard]] Fd listen_on(const Address& address);
[[nodiscard]] int port_of(int fd);
void set_no_delay(int fd);

/// Sends and receives exactly `size` bytes on a blocking socket; false when the connection ends or fails.
[[nodiscard]] bool send_all(int fd, std::span<const std::uint8_t> bytes);
[[nodiscard]] bool receive_all(int fd, std::span<std::uint8_t> bytes);

/// Raises the limit of open files as far as it goes.
void raise_file_limit();

class Epoll {
 public:
  Epoll();
  void add(int fd, std::uint32_t events);
  void modify(int fd, std::uint32_t events);
  /// Waits until `deadline` at most.
  [[nodiscard]] std::span<const epoll_event> wait(Clock::time_point deadline);

 private:
  Fd fd_;
  epoll_event events_[128]{};
};

/// How received bytes are thrown away: by the kernel, without ever being copied, or by reading them.
enum class Discard : std::uint8_t { in_kernel, by_reading };

enum class Progress : std::uint8_t { moved, would_block, ended };

/// One receive or send of up to 1 MiB on a socket that does not block, adding to `total` what was moved.
[[nodiscard]] Progress discard_some(int fd, Discard how, std::uint64_t& total);
[[nodiscard]] Progress send_some(int fd, std::uint64_t& total);

}  // namespace culvert::load

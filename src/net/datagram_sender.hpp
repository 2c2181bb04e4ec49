// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/time.hpp"
#include "net/unique_fd.hpp"
#include "net/unix_address.hpp"

namespace culvert::net {

/// Sends datagrams to a Unix socket, and hears no answers. Nothing is kept open towards the receiver: each
/// datagram goes to whoever has the address by then.
class DatagramSender {
 public:
  /// `name`: an absolute path, or '@' and a name that stands in no file system (unix(7): abstract).
  /// `patience`: how long send() may block.
  [[nodiscard]] static Result<DatagramSender> make(std::string_view name, Duration patience);

  enum class Mode : std::uint8_t { patient, at_once };
  /// Nobody there, or no room in the receiver's queue (at once, or after all the patience): the error's
  /// `detail` is errno.
  Result<void> send(std::string_view datagram, Mode mode);

 private:
  DatagramSender() = default;

  UniqueFd socket_;
  UnixAddress address_;
};

}  // namespace culvert::net

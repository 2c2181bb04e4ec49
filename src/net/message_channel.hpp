// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <utility>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

/// One end of a pair between two processes of ours: whole messages, each with at most one descriptor. Its
/// calls block. One thread at a time.
class MessageChannel {
 public:
  struct Message {
    Bytes bytes;
    UniqueFd descriptor;
  };

  /// Errc::system, with the cause alone.
  [[nodiscard]] static Result<std::pair<MessageChannel, MessageChannel>> make_pair();

  /// `message` must not be empty; `descriptor`, if it is not -1, stays the caller's. Errc::closed if the
  /// other end is gone, Errc::system.
  [[nodiscard]] Result<void> send(ByteView message, int descriptor = -1);
  /// Errc::closed if the other end is gone, Errc::malformed for a message of more than `limit` bytes or with
  /// more than one descriptor, Errc::system.
  [[nodiscard]] Result<Message> receive(std::size_t limit);

  /// Ends it for the other end too, whoever else has inherited this one.
  void close();

 private:
  explicit MessageChannel(UniqueFd socket) : socket_(std::move(socket)) {}
  UniqueFd socket_;
};

}  // namespace culvert::net

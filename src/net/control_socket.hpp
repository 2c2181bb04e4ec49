// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

/// One end of a stream between two processes of ours, for few and short words.
class ControlSocket {
 public:
  /// Errc::system, with the cause alone.
  [[nodiscard]] static Result<std::pair<ControlSocket, ControlSocket>> make_pair();

  /// Does not wait: what nobody reads any more, or has no room, is lost.
  void say(std::string_view words) const;
  /// A second descriptor of it, to read from. Errc::system, with the cause alone.
  [[nodiscard]] Result<UniqueFd> share() const;
  /// Ends it for both, whoever else has inherited this one.
  void close() const;

 private:
  explicit ControlSocket(int socket) : socket_(socket) {}
  UniqueFd socket_;
};

}  // namespace culvert::net

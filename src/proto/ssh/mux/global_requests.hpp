// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::ssh {

inline constexpr std::string_view kHostKeysProve = "hostkeys-prove-00@openssh.com";

/// What the peer asks for outside of channels (RFC 4254 section 4), and the answers that we owe it: they
/// carry no name, so that each leaves only when all before it are given.
class GlobalRequests {
 public:
  /// `most`: how many may wait for an answer.
  GlobalRequests(Role role, std::uint32_t most) : role_(role), most_(most) {}

  /// A message 80. The event is none for what is answered here. kHostKeysProve comes as GlobalRequested, at
  /// most one at a time: whoever knows the keys answers it with prove(). Errc::protocol if too many wait:
  /// those for listeners count whether they want an answer or not, since each is work that somebody keeps.
  [[nodiscard]] Result<std::optional<Event>> on_request(ByteView payload);

  // Each answers the oldest request of its kind that waits; a no-op if there is none.
  void reply(bool success, ByteView data);
  void reply_listen(bool success, std::uint32_t bound_port);
  /// Empty: a refusal.
  void prove(ByteView signatures);

  /// The next answer that may leave, as a payload.
  [[nodiscard]] std::optional<Bytes> next_answer();

  /// The client said that it opens no more channels of type "session".
  [[nodiscard]] bool no_more_sessions() const { return no_more_sessions_; }

 private:
  enum class Kind : std::uint8_t { ours, other, listen, proof };
  struct Owed {
    Kind kind;
    bool tells_port = false;
    bool is_told = true;  // false: it keeps its place, and its answer does not leave
    std::optional<Bytes> answer = {};
  };

  Result<std::optional<Event>> on_listen(ByteView data, ListenRequested event, bool want_reply);
  Result<std::optional<Event>> on_instance(ByteView data, bool want_reply);
  Result<void> owe(Owed owed);
  Owed* oldest(Kind kind);

  Role role_;
  std::uint32_t most_;
  std::deque<Owed> owed_;
  bool no_more_sessions_ = false;
  bool instance_told_ = false;
};

}  // namespace culvert::ssh

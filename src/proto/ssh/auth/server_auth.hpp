// SPDX-License-Identifier: Apache-2.0
// The server's side of authentication (RFC 4252): public keys; whether a user may log in with one is decided
// outside.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/public_key.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::ssh {

class ServerAuth {
 public:
  /// Reply: a payload to send. UserOffered: wait for accept() or refuse(); no further message is looked at
  /// before.
  struct Reply {
    Bytes payload;
  };
  using Step = std::variant<std::monostate, Reply, UserOffered>;

  explicit ServerAuth(std::uint32_t max_attempts) : attempts_left_(max_attempts) {}

  void set_session_id(ByteView session_id) { session_id_ = copy_of(session_id); }
  [[nodiscard]] Result<Step> on_message(ByteView payload);
  [[nodiscard]] bool awaits_verdict() const { return offered_.has_value(); }

  struct Accepted {
    Bytes payload;
    bool authenticated;  ///< false: the client may now sign
  };
  [[nodiscard]] std::optional<Accepted> accept();
  [[nodiscard]] std::optional<Bytes> refuse();

 private:
  Bytes refusal();

  Bytes session_id_;
  std::uint32_t attempts_left_;
  std::optional<UserOffered> offered_;
  std::string algorithm_;
};

}  // namespace culvert::ssh

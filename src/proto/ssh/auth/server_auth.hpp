// SPDX-License-Identifier: Apache-2.0
// The server's side of authentication (RFC 4252): public keys and certificates, alone or bound to our host
// key (PROTOCOL of OpenSSH, section 3.1); whether a user may log in with one is decided outside.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/public_key.hpp"
#include "proto/ssh/session.hpp"
#include "proto/ssh/wire/messages.hpp"

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

  /// What is signed names both; `host_key`: the blob that we showed.
  void set_session(ByteView session_id, ByteView host_key) {
    session_id_ = copy_of(session_id);
    host_key_ = copy_of(host_key);
  }
  [[nodiscard]] Result<Step> on_message(ByteView payload);
  [[nodiscard]] bool awaits_verdict() const { return offered_.has_value(); }

  struct Accepted {
    Bytes payload;
    bool authenticated;  ///< false: the client may now sign
  };
  [[nodiscard]] std::optional<Accepted> accept();
  [[nodiscard]] std::optional<Bytes> refuse();
  /// Without those of "none".
  [[nodiscard]] std::uint32_t refused() const { return refused_; }

 private:
  Result<Step> on_key(const UserauthRequestMessage& request, ByteView payload);
  Bytes methods();
  Bytes refusal();

  Bytes session_id_, host_key_;
  std::uint32_t attempts_left_;
  bool is_first_ = true;  // the next request
  std::uint32_t refused_ = 0;
  std::optional<UserOffered> offered_;
  Bytes offered_blob_;
};

/// A banner as it is sent (RFC 4252 section 5.4): line ends are CR LF, and it has at most 32 KiB.
[[nodiscard]] Bytes banner_message(std::string_view text);

}  // namespace culvert::ssh

// SPDX-License-Identifier: Apache-2.0
// The transport layer (RFC 4253, 8308): identification, key exchange and its renewal, protected packets. What
// it does not answer itself comes out as payloads for the layer above.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "crypto/random.hpp"
#include "proto/ssh/mux/packet_link.hpp"
#include "proto/ssh/session.hpp"
#include "proto/ssh/transport/identification.hpp"
#include "proto/ssh/transport/key_schedule.hpp"
#include "proto/ssh/transport/negotiation.hpp"
#include "proto/ssh/transport/packet_reader.hpp"
#include "proto/ssh/transport/packet_writer.hpp"
#include "proto/ssh/transport/phase.hpp"

namespace culvert::ssh {

class Transport final : public PacketLink {
 public:
  /// `config` and `random` must outlive it.
  Transport(const SessionConfig& config, crypto::Random& random, Instant now);

  /// A message for the layers above; the view is valid until prepare().
  struct Payload {
    ByteView bytes;
  };
  /// monostate: more bytes, or an answer to the last event, are needed.
  using Step = std::variant<std::monostate, Payload, HostKeyOffered, HostSignatureWanted, KeysAgreed>;

  // ---- bytes in
  [[nodiscard]] MutableBytes prepare(std::size_t n) { return reader_.prepare(n); }
  void commit(std::size_t n, Instant now);
  /// The error that an end of the connection at this point means.
  [[nodiscard]] Error end_of_input() const;
  /// An error is the end: say_goodbye() with it.
  [[nodiscard]] Result<Step> next();
  /// While nobody takes what comes because an answer of ours is awaited: Errc::limit if that is too much.
  [[nodiscard]] Result<void> bound_unread() const;

  // ---- bytes out
  [[nodiscard]] ByteView output() const { return writer_.output(); }
  [[nodiscard]] std::size_t pending_output() const override { return writer_.pending(); }
  void consume_output(std::size_t n, Instant now);
  /// Whether messages of the layers above leave now: not from our KEXINIT to our NEWKEYS.
  [[nodiscard]] bool may_send() const override { return outbound_open_; }
  /// A whole payload. Waits for the end of a key exchange if it must; Errc::limit if too much waits already.
  [[nodiscard]] Result<void> send(ByteView payload) override;
  /// `head` and `body` as one payload, without a copy. Only while may_send().
  void send_data(ByteView head, ByteView body) override;
  [[nodiscard]] std::size_t packet_overhead() const { return writer_.overhead(); }
  [[nodiscard]] std::size_t deferred() const { return deferred_.size(); }
  /// A DISCONNECT message; nothing may be sent after it.
  void say_goodbye(DisconnectReason reason, std::string_view text);

  // ---- time
  /// Errc::timed_out if a deadline passed.
  [[nodiscard]] Result<void> advance(Instant now);
  [[nodiscard]] Instant next_deadline() const;

  // ---- answers
  void accept_host_key();
  [[nodiscard]] bool awaits_host_key_verdict() const { return awaits_ == Awaits::host_key_verdict; }
  [[nodiscard]] bool awaits_host_signature() const { return awaits_ == Awaits::host_signature; }
  void host_signature(ByteView signature);

  /// Starts a renewal, unless one is in progress.
  void request_rekey();
  /// The layer above says how far the connection is: from service to authentication to connected.
  void enter(Phase phase);

  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] ByteView session_id() const { return session_id_; }
  [[nodiscard]] std::string_view peer_identification() const { return their_identification_; }
  /// It says so, by how all of ours begin.
  [[nodiscard]] bool peer_is_culvert() const { return their_identification_.starts_with("SSH-2.0-culvert_"); }
  /// RFC 8308 section 3.1; empty before or without it.
  [[nodiscard]] const std::string& server_signature_algorithms() const {
    return server_signature_algorithms_;
  }
  /// The server said that it takes logins that are bound to its key. Client.
  [[nodiscard]] bool server_takes_host_bound() const { return server_takes_host_bound_; }
  /// The server said that it wants to know which run of a program the client is (InstanceRequest). Client.
  [[nodiscard]] bool server_takes_instance() const { return server_takes_instance_; }
  /// The key's or certificate's blob that the server showed in the first exchange, which is over.
  [[nodiscard]] ByteView shown_host_key() const { return shown_host_key_; }
  /// Time between our first value and its answer: a first idea of the path's round trip. Zero before.
  [[nodiscard]] Duration exchange_time() const { return exchange_time_; }
  [[nodiscard]] Instant now() const { return now_; }

 private:
  enum class Awaits : std::uint8_t { nothing, host_key_verdict, host_signature };

  Result<bool> read_identification();
  Result<Step> on_packet(ByteView payload);
  Result<Step> on_kexinit(ByteView payload);
  Result<Step> on_client_value(ByteView payload);
  Result<Step> on_server_value(ByteView payload);
  Result<Step> on_newkeys(ByteView payload);
  Result<void> on_ext_info(ByteView payload);

  void send_kexinit();
  void send_newkeys();
  void send_ext_info();
  void flush_deferred();
  void rekey_if_due();
  void tell_time(Instant now);
  void put_off_exchange_deadline(Instant now);
  void finish_exchange_hash(ByteView host_key, ByteView client_value, ByteView server_value, bool mpints,
                            crypto::SharedSecret secret);
  [[nodiscard]] bool exchange_in_progress() const { return !our_kexinit_.empty() || !their_kexinit_.empty(); }
  [[nodiscard]] std::uint64_t rekey_bytes() const;

  const SessionConfig& config_;
  crypto::Random& random_;
  Instant now_;

  PacketReader reader_;
  PacketWriter writer_;
  IdentificationReader identification_reader_;
  std::string our_identification_, their_identification_;
  std::string first_line_before_;

  Phase phase_ = Phase::first_kexinit;
  Phase phase_after_exchange_ = Phase::service;
  bool strict_ = false;
  bool peer_wants_ext_info_ = false;
  Bytes session_id_;
  Bytes shown_host_key_;  // of the first exchange; to a client a renewal must show the same
  std::string server_signature_algorithms_;
  bool server_takes_host_bound_ = false;
  bool server_takes_instance_ = false;

  // The exchange in progress; empty or null without one.
  Bytes our_kexinit_, their_kexinit_;
  std::optional<Agreement> agreed_;
  std::unique_ptr<crypto::KeyExchange> key_exchange_;
  Bytes our_value_;
  Bytes exchange_hash_;
  NewKeys new_keys_;
  Bytes reply_host_key_, reply_value_;  // server: wait for the host signature
  bool skip_next_packet_ = false;       // the peer's wrong guess
  bool outbound_open_ = false;
  Awaits awaits_ = Awaits::nothing;

  Bytes deferred_;  // payloads that wait for our NEWKEYS, each behind its length

  Instant handshake_deadline_ = culvert::kNever;
  Instant exchange_deadline_ = culvert::kNever;
  bool exchange_untimed_ = false;  // a renewal began, and exchange_deadline_ is yet to be set
  Instant rekey_at_ = culvert::kNever;
  Instant value_sent_at_{};
  Duration exchange_time_{};
  bool logged_in_ = false;
  std::uint64_t bytes_before_auth_ = 0;
};

}  // namespace culvert::ssh

// SPDX-License-Identifier: Apache-2.0
// The other end of a conversation, without a mind of its own: it seals and opens packets as an SSH peer does,
// and sends exactly what it is told to, also what no honest peer would send. So it is made of the parts below
// ssh::Transport and not of Transport itself, which keeps the rules.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/wire.hpp"
#include "crypto/key_algorithms.hpp"
#include "crypto/private_key.hpp"
#include "proto/ssh/session.hpp"
#include "proto/ssh/transport/identification.hpp"
#include "proto/ssh/transport/key_schedule.hpp"
#include "proto/ssh/transport/negotiation.hpp"
#include "proto/ssh/transport/packet_reader.hpp"
#include "proto/ssh/transport/packet_writer.hpp"
#include "proto/ssh/transport/shown_key.hpp"
#include "proto/ssh/wire/messages.hpp"
#include "tests/support/seeded_random.hpp"

namespace culvert::test {

class ScriptedPeer {
 public:
  /// What its KEXINIT says. The default cipher uses the sequence number as its nonce, so that a wrong one is
  /// noticed.
  struct Offer {
    std::string key_exchange = "curve25519-sha256";
    std::string host_key = "ssh-ed25519";
    std::string cipher = "chacha20-poly1305@openssh.com";
    std::string mac = "hmac-sha2-256";
    bool strict = true;
    bool ext_info = true;
    bool first_packet_follows = false;
  };

  ScriptedPeer(ssh::Role role, Offer offer, std::uint64_t seed)
      : role_(role),
        offer_(std::move(offer)),
        random_(seed),
        writer_(random_),
        identification_reader_(role == ssh::Role::client) {}

  // ---- bytes
  void receive(ByteView bytes) {
    const MutableBytes room = reader_.prepare(bytes.size());
    std::copy(bytes.begin(), bytes.end(), room.begin());
    reader_.commit(bytes.size());
  }
  [[nodiscard]] ByteView output() const { return writer_.output(); }
  void consume_output(std::size_t n) { writer_.consume_output(n); }

  // ---- in
  /// The machine's identification line; empty before it came.
  const std::string& their_identification() {
    if (theirs_.identification.empty()) {
      auto found = identification_reader_.read(reader_.pending());
      if (found) {
        reader_.skip(found->taken);
        if (found->line) theirs_.identification = *found->line;
      }
    }
    return theirs_.identification;
  }
  /// The next payload; none: nothing whole came. An error: the machine sent what cannot be opened.
  Result<std::optional<Bytes>> next() {
    if (their_identification().empty()) return std::nullopt;
    const auto payload = TRY(reader_.next_packet());
    if (!payload) return std::nullopt;
    Bytes copy = copy_of(*payload);
    TRY(note(copy));
    return copy;
  }
  /// The sequence number of what next() gave last.
  [[nodiscard]] std::uint32_t last_sequence() const { return reader_.last_sequence(); }

  // ---- out
  void identify(const std::string& line = "SSH-2.0-script") {
    ours_.identification = line;
    writer_.write_raw(as_bytes(line + "\r\n"));
  }
  void write_raw(ByteView bytes) { writer_.write_raw(bytes); }
  /// A payload, whatever is in it.
  void send_raw(ByteView payload) {
    if (payload[0] == ssh::KexInitMessage::kNumber) ours_.kexinit = copy_of(payload);
    writer_.write(payload);
    ++sent_;
    if (payload[0] == ssh::NewKeysMessage::kNumber && new_keys_.sealer) {
      writer_.use(std::move(new_keys_.sealer), strict());
      if (strict()) sent_ = 0;
    }
  }
  template <class Message>
  void send(const Message& message) {
    send_raw(ssh::encoded(message));
  }
  /// The sequence number of the packet sent last.
  [[nodiscard]] std::uint32_t last_sent_sequence() const { return sent_ - 1; }

  // ---- key exchange
  /// `change` may edit the message; texts that it puts in must live until this returns.
  void send_kexinit(const std::function<void(ssh::KexInitMessage&)>& change = {}) {
    const bool is_client = role_ == ssh::Role::client;
    std::string methods = offer_.key_exchange;
    if (session_id_.empty() && offer_.ext_info) methods += is_client ? ",ext-info-c" : ",ext-info-s";
    if (session_id_.empty() && offer_.strict)
      methods += is_client ? ",kex-strict-c-v00@openssh.com" : ",kex-strict-s-v00@openssh.com";
    ssh::KexInitMessage message{};
    random_.fill(message.cookie);
    message.key_exchanges.text = methods;
    message.host_keys.text = offer_.host_key;
    message.ciphers_to_server.text = message.ciphers_to_client.text = offer_.cipher;
    message.macs_to_server.text = message.macs_to_client.text = offer_.mac;
    message.compressions_to_server.text = message.compressions_to_client.text = "none";
    message.first_packet_follows = offer_.first_packet_follows;
    if (change) change(message);
    send(message);
  }
  /// Client: the first half of the exchange. Both KEXINITs must be there.
  void send_value() {
    agree();
    value_ = key_exchange_->start(random_).value();
    send(ssh::KexStringInitMessage{value_});
  }
  /// Server: the second half; the machine's value must be there. `bend` may spoil the signature.
  void send_reply(const crypto::PrivateKey& host_key, const std::function<void(Bytes&)>& bend = {}) {
    agree();
    auto response = key_exchange_->respond(their_value_, random_).value();
    finish(host_key.public_key().blob(), their_value_, response.value, response.secret.encoded);
    Bytes signature = host_key.sign(agreed_->host_key, hash_).value();
    if (bend) bend(signature);
    send(ssh::KexStringReplyMessage{host_key.public_key().blob(), response.value, signature});
  }

  [[nodiscard]] ByteView session_id() const { return session_id_; }
  [[nodiscard]] bool strict() const { return strict_; }
  [[nodiscard]] ssh::Role role() const { return role_; }
  Offer& offer() { return offer_; }

 private:
  struct Side {
    std::string identification;
    Bytes kexinit;
  };

  // What came decides keys without being told.
  Result<void> note(ByteView payload) {
    switch (payload[0]) {
      case ssh::KexInitMessage::kNumber:
        theirs_.kexinit = copy_of(payload);
        if (session_id_.empty() && offer_.strict)
          strict_ = ssh::asks_for_strict(role_, *ssh::decode<ssh::KexInitMessage>(payload));
        break;
      case 30:
        their_value_ = copy_of(TRY(ssh::decode<ssh::KexStringInitMessage>(payload)).client_value);
        break;
      case 31: {
        const auto reply = TRY(ssh::decode<ssh::KexStringReplyMessage>(payload));
        const auto secret = TRY(key_exchange_->finish(reply.server_value));
        finish(reply.host_key, value_, reply.server_value, secret.encoded);
        const auto shown = TRY(ssh::read_shown_key(reply.host_key, agreed_->host_key));
        TRY(shown.key.verify(crypto::signature_of(agreed_->host_key), hash_, reply.signature));
        break;
      }
      case ssh::NewKeysMessage::kNumber:
        if (!new_keys_.opener) return fail(Errc::protocol, "NEWKEYS without a key exchange");
        reader_.use(std::move(new_keys_.opener), strict_);
        break;
      default:
        break;
    }
    return {};
  }

  void agree() {
    agreed_ = ssh::negotiate(role_, ours_.kexinit, theirs_.kexinit).value();
    key_exchange_ = agreed_->key_exchange->make();
  }

  void finish(ByteView host_key, ByteView client_value, ByteView server_value, ByteView secret) {
    const bool is_client = role_ == ssh::Role::client;
    const Side& client = is_client ? ours_ : theirs_;
    const Side& server = is_client ? theirs_ : ours_;
    hash_ = ssh::exchange_hash(agreed_->key_exchange->hash,
                               {.client_identification = client.identification,
                                .server_identification = server.identification,
                                .client_kexinit = client.kexinit,
                                .server_kexinit = server.kexinit,
                                .host_key = host_key,
                                .client_value = client_value,
                                .server_value = server_value,
                                .values_are_mpints = key_exchange_->values_are_mpints(),
                                .shared_secret = secret});
    if (session_id_.empty()) session_id_ = hash_;
    new_keys_ = ssh::derive_keys(role_, *agreed_, secret, hash_, session_id_);
  }

  ssh::Role role_;
  Offer offer_;
  SeededRandom random_;
  ssh::PacketReader reader_;
  ssh::PacketWriter writer_;
  ssh::IdentificationReader identification_reader_;
  Side ours_, theirs_;
  bool strict_ = false;
  std::uint32_t sent_ = 0;
  Bytes session_id_, hash_, value_, their_value_;
  std::optional<ssh::Agreement> agreed_;
  std::unique_ptr<crypto::KeyExchange> key_exchange_;
  ssh::NewKeys new_keys_;
};

}  // namespace culvert::test

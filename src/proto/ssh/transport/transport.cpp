// SPDX-License-Identifier: Apache-2.0
// In the order of a connection: identification, packets, KEXINIT, values, NEWKEYS, and again.
#include "proto/ssh/transport/transport.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "base/wire.hpp"
#include "crypto/key_algorithms.hpp"
#include "proto/ssh/transport/shown_key.hpp"
#include "proto/ssh/wire/messages.hpp"
#include "proto/ssh/wire/name_list.hpp"

namespace culvert::ssh {
namespace {

constexpr std::uint64_t kMaxBytesPerKey = std::uint64_t{64}
                                          << 30;  // RFC 4344 section 3.2, for blocks of 128 bits
constexpr std::size_t kMaxExtensions = 64;
constexpr std::size_t kMaxPing = 32 * 1024;

std::unexpected<Error> protocol_error(std::string what,
                                      DisconnectReason reason = DisconnectReason::protocol_error) {
  return fail(Errc::protocol, std::move(what), static_cast<std::int64_t>(reason));
}

// Some leave the language out. Whatever is missing, it is the end.
Error goodbye_in(ByteView disconnect) {
  Reader reader(disconnect.subspan(1));
  const std::uint32_t reason = reader.u32().value_or(0);
  const std::string_view text = reader.text().value_or("");
  return {
      Errc::closed,
      text.empty() ? "the peer disconnected" : fmt::format("the peer disconnected: {}", printable(text, 400)),
      reason};
}

Instant after(Instant now, Duration span) { return span == Duration::zero() ? kNever : now + span; }

// What OpenSSH's servers say to whom they do not hear.
std::string_view meaning_of(std::string_view sent) {
  if (sent.starts_with("Not allowed at this time"))
    return "it shuts out this address for now, as after failed logins (PerSourcePenalties of sshd); try "
           "again later";
  if (sent.starts_with("Exceeded MaxStartups"))
    return "too many others are logging in (MaxStartups of sshd); try again";
  return "is this an SSH server?";
}

}  // namespace

Transport::Transport(const SessionConfig& config, crypto::Random& random, Instant now)
    : config_(config),
      random_(random),
      now_(now),
      writer_(random),
      identification_reader_(config.role == Role::client),
      our_identification_("SSH-2.0-" + config.software),
      handshake_deadline_(after(now, config.timing.handshake)),
      exchange_deadline_(after(now, config.timing.first_keys)) {
  // Nothing has to be waited for: identification and KEXINIT leave together, which saves a round trip.
  writer_.write_raw(as_bytes(our_identification_ + "\r\n"));
  send_kexinit();
}

// ---- bytes in

void Transport::commit(std::size_t n, Instant now) {
  tell_time(now);
  reader_.commit(n);
  if (!logged_in_) bytes_before_auth_ += n;
}

Result<bool> Transport::read_identification() {
  const ByteView came = reader_.pending();
  const auto found = TRY(identification_reader_.read(came));
  if (found.taken > 0 && first_line_before_.empty() && !found.line) {
    const std::string_view text = as_text(came);
    first_line_before_ = printable(text.substr(0, text.find_first_of("\r\n")), 80);
  }
  reader_.skip(found.taken);
  if (!found.line) return false;
  their_identification_ = *found.line;
  return true;
}

Error Transport::end_of_input() const {
  const std::string_view peer = config_.role == Role::client ? "server" : "client";
  if (their_identification_.empty()) {
    std::string what = fmt::format("the {} closed the connection before it identified itself", peer);
    std::string sent = first_line_before_;
    if (sent.empty()) sent = printable(as_text(reader_.pending()), 80);
    if (!sent.empty()) what += fmt::format("; it sent \"{}\": {}", sent, meaning_of(sent));
    return Error{Errc::closed, std::move(what)};
  }
  if (session_id_.empty())
    return Error{Errc::closed, fmt::format("the {} closed the connection during the key exchange", peer)};
  return Error{Errc::closed, fmt::format("the {} closed the connection", peer)};
}

Result<Transport::Step> Transport::next() {
  if (their_identification_.empty() && !TRY(read_identification())) return Step{};
  for (;;) {
    if (awaits_ != Awaits::nothing) {
      TRY(bound_unread());
      return Step{};
    }
    // What lies behind the login in the same read is not meant.
    if (!logged_in_ && bytes_before_auth_ - reader_.pending().size() > config_.limits.before_auth_bytes) {
      return fail(Errc::limit, "the peer sent too much before login");
    }
    const auto payload = TRY(reader_.next_packet());
    if (!payload) return Step{};
    Step step = TRY(on_packet(*payload));
    rekey_if_due();
    if (!std::holds_alternative<std::monostate>(step)) return step;
  }
}

Result<void> Transport::bound_unread() const {
  if (!logged_in_ && bytes_before_auth_ > config_.limits.before_auth_bytes)
    return fail(Errc::limit, "the peer sent too much before login");
  if (reader_.pending().size() > config_.limits.before_auth_bytes)
    return fail(Errc::limit, "the peer sent too much during a key exchange");
  return {};
}

Result<Transport::Step> Transport::on_packet(ByteView payload) {
  const std::uint8_t number = payload[0];
  if (session_id_.empty() && reader_.wrapped())
    return protocol_error("too many packets before the first key exchange");
  if (skip_next_packet_ && number >= 30 && number <= 49) {  // RFC 4253 section 7.1: the guess was wrong
    skip_next_packet_ = false;
    return Step{};
  }
  switch (judge(config_.role, phase_, number, strict_)) {
    case Verdict::accept:
      break;
    case Verdict::forbidden:
      return protocol_error(fmt::format("message {} is not allowed at this point", number));
    case Verdict::unimplemented: {
      TRY(send(encoded(UnimplementedMessage{reader_.last_sequence()})));
      return Step{};
    }
  }
  switch (number) {
    case DisconnectMessage::kNumber:
      return std::unexpected(goodbye_in(payload));
    case IgnoreMessage::kNumber:
    case UnimplementedMessage::kNumber:
    case DebugMessage::kNumber:
      return Step{};
    case ExtInfoMessage::kNumber:
      TRY(on_ext_info(payload));
      return Step{};
    case KexInitMessage::kNumber:
      return on_kexinit(payload);
    case NewKeysMessage::kNumber:
      return on_newkeys(payload);
    case 30:
      return on_client_value(payload);
    case 31:
      return on_server_value(payload);
    case PingMessage::kNumber: {
      const auto ping = TRY(decode<PingMessage>(payload));
      if (ping.data.size() > kMaxPing) return protocol_error("a ping of more than 32 KiB");
      TRY(send(encoded(PongMessage{ping.data})));
      return Step{};
    }
    case PongMessage::kNumber:
      return Step{};
    case ChannelDataMessage::kNumber:
    case ChannelExtendedDataMessage::kNumber:
      put_off_exchange_deadline(now_);
      return Payload{payload};
    default:
      return Payload{payload};
  }
}

// ---- key exchange

void Transport::send_kexinit() {
  our_kexinit_ = make_kexinit(config_.role, config_.algorithms, config_.host_keys, config_.host_certificates,
                              session_id_.empty(), random_);
  writer_.write(our_kexinit_);
  outbound_open_ = false;
  exchange_untimed_ = !session_id_.empty();
}

Result<Transport::Step> Transport::on_kexinit(ByteView payload) {
  const bool first = session_id_.empty();
  const auto theirs = TRY(decode<KexInitMessage>(payload));
  if (our_kexinit_.empty()) send_kexinit();
  their_kexinit_ = copy_of(payload);
  if (first) {
    strict_ = asks_for_strict(config_.role, theirs);
    peer_wants_ext_info_ = asks_for_ext_info(config_.role, theirs);
    if (strict_ && reader_.last_sequence() != 0) return protocol_error("KEXINIT was not the first message");
  }
  agreed_ = TRY(negotiate(config_.role, our_kexinit_, their_kexinit_));
  skip_next_packet_ = agreed_->skip_guess;
  key_exchange_ = agreed_->key_exchange->make();
  if (!first) phase_after_exchange_ = phase_;
  phase_ = first ? Phase::first_exchange : Phase::rekey_exchange;

  if (config_.role == Role::client) {
    our_value_ = TRY(key_exchange_->start(random_));
    writer_.write(key_exchange_->values_are_mpints() ? encoded(KexMpintInitMessage{Mpint{our_value_}})
                                                     : encoded(KexStringInitMessage{our_value_}));
    value_sent_at_ = now_;
  }
  return Step{};
}

Result<Transport::Step> Transport::on_client_value(ByteView payload) {
  const bool mpints = key_exchange_->values_are_mpints();
  const ByteView client_value = mpints ? TRY(decode<KexMpintInitMessage>(payload)).client_value.magnitude
                                       : TRY(decode<KexStringInitMessage>(payload)).client_value;
  auto response = TRY(key_exchange_->respond(client_value, random_));
  const auto identity = find_host_identity(agreed_->host_key, config_.host_keys, config_.host_certificates);
  CULVERT_ASSERT(identity.has_value());  // only what our keys can sign was offered
  finish_exchange_hash(identity->blob, client_value, response.value, mpints, std::move(response.secret));
  reply_value_ = std::move(response.value);
  reply_host_key_ = copy_of(identity->blob);
  if (session_id_.empty()) shown_host_key_ = reply_host_key_;
  awaits_ = Awaits::host_signature;
  phase_ = phase_ == Phase::first_exchange ? Phase::first_newkeys : Phase::rekey_newkeys;
  return HostSignatureWanted{*identity->key, std::string(crypto::signature_of(agreed_->host_key)),
                             exchange_hash_};
}

void Transport::host_signature(ByteView signature) {
  if (awaits_ != Awaits::host_signature) return;
  awaits_ = Awaits::nothing;
  writer_.write(key_exchange_->values_are_mpints()
                    ? encoded(KexMpintReplyMessage{reply_host_key_, Mpint{reply_value_}, signature})
                    : encoded(KexStringReplyMessage{reply_host_key_, reply_value_, signature}));
  reply_value_.clear();
  send_newkeys();
}

Result<Transport::Step> Transport::on_server_value(ByteView payload) {
  const bool first = session_id_.empty();
  const bool mpints = key_exchange_->values_are_mpints();
  ByteView host_key, server_value, signature;
  if (mpints) {
    const auto reply = TRY(decode<KexMpintReplyMessage>(payload));
    host_key = reply.host_key, server_value = reply.server_value.magnitude, signature = reply.signature;
  } else {
    const auto reply = TRY(decode<KexStringReplyMessage>(payload));
    host_key = reply.host_key, server_value = reply.server_value, signature = reply.signature;
  }
  exchange_time_ = now_ - value_sent_at_;
  const auto shown = read_shown_key(host_key, agreed_->host_key);
  if (!shown) {
    return protocol_error(fmt::format("the server's host key is not usable: {}", shown.error().message),
                          DisconnectReason::key_exchange_failed);
  }
  const auto& [key, certificate, fault] = *shown;
  const std::string_view made_by = crypto::signature_of(agreed_->host_key);
  if (key.type() != crypto::key_type_of(made_by)) {
    return protocol_error("the server's host key is of another type than agreed",
                          DisconnectReason::key_exchange_failed);
  }
  finish_exchange_hash(host_key, our_value_, server_value, mpints, TRY(key_exchange_->finish(server_value)));
  if (const auto fits = key.verify(made_by, exchange_hash_, signature); !fits) {
    return protocol_error("the server's signature over the key exchange does not fit its host key",
                          DisconnectReason::key_exchange_failed);
  }
  phase_ = first ? Phase::first_newkeys : Phase::rekey_newkeys;
  if (first) {
    shown_host_key_ = copy_of(host_key);
    awaits_ = Awaits::host_key_verdict;
    exchange_deadline_ = kNever;  // the server did its part; a person may have to think about it
    return HostKeyOffered{key,
                          agreed_->host_key,
                          certificate,
                          {exchange_hash_, shown_host_key_, copy_of(signature)},
                          fault ? fault->message : ""};
  }
  if (!std::ranges::equal(host_key, shown_host_key_)) {
    // Another key of the same server is as good as another server: nobody has looked at it.
    return fail(Errc::verification, "the server showed another host key when keys were renewed",
                static_cast<std::int64_t>(DisconnectReason::host_key_not_verifiable));
  }
  send_newkeys();
  return Step{};
}

void Transport::accept_host_key() {
  if (awaits_ != Awaits::host_key_verdict) return;
  awaits_ = Awaits::nothing;
  send_newkeys();
}

void Transport::finish_exchange_hash(ByteView host_key, ByteView client_value, ByteView server_value,
                                     bool mpints, crypto::SharedSecret secret) {
  const bool is_client = config_.role == Role::client;
  const ExchangeTranscript transcript{
      .client_identification = is_client ? our_identification_ : their_identification_,
      .server_identification = is_client ? their_identification_ : our_identification_,
      .client_kexinit = is_client ? our_kexinit_ : their_kexinit_,
      .server_kexinit = is_client ? their_kexinit_ : our_kexinit_,
      .host_key = host_key,
      .client_value = client_value,
      .server_value = server_value,
      .values_are_mpints = mpints,
      .shared_secret = secret.encoded,
  };
  exchange_hash_ = exchange_hash(agreed_->key_exchange->hash, transcript);
  const ByteView id = session_id_.empty() ? ByteView(exchange_hash_) : ByteView(session_id_);
  new_keys_ = derive_keys(config_.role, *agreed_, secret.encoded, exchange_hash_, id);
}

void Transport::send_newkeys() {
  writer_.write(encoded(NewKeysMessage{}));
  writer_.use(std::move(new_keys_.sealer), strict_);
  if (session_id_.empty()) {
    session_id_ = exchange_hash_;
    if (config_.role == Role::server && peer_wants_ext_info_) send_ext_info();
  }
  outbound_open_ = true;
  flush_deferred();
}

Result<Transport::Step> Transport::on_newkeys(ByteView payload) {
  TRY(decode<NewKeysMessage>(payload));
  if (!new_keys_.opener || !outbound_open_) return protocol_error("NEWKEYS came too early");
  const bool first = phase_ == Phase::first_newkeys;
  reader_.use(std::move(new_keys_.opener), strict_);
  phase_ = phase_after_exchange_;

  const auto mac_name = [](const Agreement::Direction& d) {
    return std::string(d.mac == nullptr ? "" : d.mac->name);
  };
  const bool is_client = config_.role == Role::client;
  const auto& out = is_client ? agreed_->to_server : agreed_->to_client;
  const auto& in = is_client ? agreed_->to_client : agreed_->to_server;
  KeysAgreed event{std::string(agreed_->key_exchange->name),
                   agreed_->host_key,
                   std::string(out.cipher->name),
                   std::string(in.cipher->name),
                   mac_name(out),
                   mac_name(in),
                   first,
                   strict_};
  our_kexinit_.clear();
  their_kexinit_.clear();
  key_exchange_.reset();
  exchange_untimed_ = false;
  exchange_deadline_ = kNever;
  rekey_at_ = after(now_, config_.rekey.time);
  return event;
}

// ---- extensions (RFC 8308)

void Transport::send_ext_info() {
  std::string algorithms;  // all but those of security keys, as ServerAuth takes them
  for (const std::string_view name : crypto::host_key_algorithms()) {
    if (!algorithms.empty()) algorithms += ',';
    algorithms += name;
  }
  Bytes extensions;
  Writer(extensions).text("server-sig-algs").text(algorithms);
  Writer(extensions).text("publickey-hostbound@openssh.com").text("0").text("ping@openssh.com").text("0");
  std::uint32_t count = 3;
  if (peer_is_culvert()) {  // others have no use for it
    Writer(extensions).text(InstanceRequest::kName).text("0");
    ++count;
  }
  writer_.write(encoded(ExtInfoMessage{count, Rest{extensions}}));
}

Result<void> Transport::on_ext_info(ByteView payload) {
  const auto message = TRY(decode<ExtInfoMessage>(payload));
  if (message.count > kMaxExtensions) return protocol_error("too many extensions");
  Reader reader(message.extensions.bytes);
  for (std::uint32_t i = 0; i < message.count; ++i) {
    const auto name = TRY(reader.text());
    const auto value = TRY(reader.text());
    if (name == "server-sig-algs") server_signature_algorithms_ = value;
    if (name == "publickey-hostbound@openssh.com") server_takes_host_bound_ = value == "0";
    if (name == InstanceRequest::kName) server_takes_instance_ = value == "0";
  }
  return reader.end();
}

// ---- bytes out

Result<void> Transport::send(ByteView payload) {
  const std::uint8_t number = payload[0];
  if (outbound_open_ || number <= 4) {
    writer_.write(payload);
    return {};
  }
  if (deferred_.size() + payload.size() + 4 > config_.limits.deferred_output) {
    return fail(Errc::limit, "too much waits for the end of a key exchange");
  }
  if (deferred_.capacity() <
      deferred_.size() + payload.size() + 4) {  // a password may be there: no copy stays
    Bytes larger;
    larger.reserve(2 * (deferred_.size() + payload.size() + 4));
    larger.insert(larger.end(), deferred_.begin(), deferred_.end());
    deferred_.swap(larger);
    wipe(larger);
  }
  Writer(deferred_).string(payload);
  return {};
}

void Transport::send_data(ByteView head, ByteView body) {
  CULVERT_ASSERT(outbound_open_);
  writer_.write(head, body);
  rekey_if_due();
}

void Transport::flush_deferred() {
  if (deferred_.empty()) return;
  Bytes waiting = std::exchange(deferred_, {});
  Reader reader(waiting);
  while (reader.remaining() > 0) writer_.write(*reader.string());
  wipe(waiting);  // a password may have waited
}

void Transport::say_goodbye(DisconnectReason reason, std::string_view text) {
  writer_.write(encoded(DisconnectMessage{static_cast<std::uint32_t>(reason), text, ""}));
}

// ---- renewal

std::uint64_t Transport::rekey_bytes() const {
  return config_.rekey.bytes == 0 ? kMaxBytesPerKey : std::min(config_.rekey.bytes, kMaxBytesPerKey);
}

void Transport::request_rekey() {
  if (session_id_.empty() || exchange_in_progress() || phase_ != Phase::connected) return;
  send_kexinit();
}

void Transport::rekey_if_due() {
  const bool due = reader_.bytes_under_key() >= rekey_bytes() || writer_.bytes_under_key() >= rekey_bytes() ||
                   reader_.packets_under_key() >= config_.rekey.packets ||
                   writer_.packets_under_key() >= config_.rekey.packets || now_ >= rekey_at_;
  if (due) request_rekey();
}

void Transport::enter(Phase phase) {
  if (phase == Phase::connected) {
    logged_in_ = true;
    handshake_deadline_ = kNever;
    reader_.set_max_packet_length(kMaxPacketLength);
  }
  // A renewal may be under way while the layer above moves on.
  if (phase_ == Phase::rekey_exchange || phase_ == Phase::rekey_newkeys) {
    phase_after_exchange_ = phase;
  } else {
    phase_ = phase;
  }
}

// ---- time

// Commands carry no time: an exchange that one of them began is timed from the next call that does.
void Transport::tell_time(Instant now) {
  now_ = now;
  if (std::exchange(exchange_untimed_, false)) exchange_deadline_ = after(now, config_.timing.key_exchange);
}

void Transport::consume_output(std::size_t n, Instant now) {
  tell_time(now);
  writer_.consume_output(n);
  put_off_exchange_deadline(now);
}

// What was under way when a renewal began goes before its messages, each way. On a slow path that takes its
// time, and is no reason to end what works. It is not for ever: we send nothing new, and give the peer no
// more window, before the renewal is over.
void Transport::put_off_exchange_deadline(Instant now) {
  if (logged_in_ && exchange_deadline_ != kNever)
    exchange_deadline_ = after(now, config_.timing.key_exchange);
}

Result<void> Transport::advance(Instant now) {
  tell_time(now);
  if (now >= handshake_deadline_) return fail(Errc::timed_out, "the login took too long");
  if (now >= exchange_deadline_) {
    return fail(Errc::timed_out, their_identification_.empty() ? "timed out: no SSH identification came"
                                                               : "timed out: the key exchange took too long");
  }
  rekey_if_due();
  return {};
}

Instant Transport::next_deadline() const {
  const bool can_rekey = phase_ == Phase::connected && !exchange_in_progress();
  return std::min({handshake_deadline_, exchange_deadline_, can_rekey ? rekey_at_ : kNever});
}

}  // namespace culvert::ssh

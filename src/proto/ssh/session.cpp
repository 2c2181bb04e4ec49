// SPDX-License-Identifier: Apache-2.0
// Joins the layers: transport below, authentication until login, the mux after it. One way in (next_event),
// one way out (end_with).
#include "proto/ssh/session.hpp"

#include <algorithm>
#include <deque>
#include <utility>

#include <fmt/format.h>

#include "base/wire.hpp"
#include "proto/ssh/auth/client_auth.hpp"
#include "proto/ssh/auth/host_key_update.hpp"
#include "proto/ssh/auth/server_auth.hpp"
#include "proto/ssh/mux/mux.hpp"
#include "proto/ssh/transport/transport.hpp"
#include "proto/ssh/wire/messages.hpp"
#include "proto/ssh/wire/name_list.hpp"

namespace culvert::ssh {
namespace {

constexpr std::string_view kAuthService = "ssh-userauth";
constexpr std::size_t kUnreadOutput =
    8u << 20;  // beyond the queue's limit: answers to a peer that does not read

}  // namespace

class Session::Impl {
 public:
  Impl(SessionConfig config, crypto::Random& random, Instant now)
      : config_(std::move(config)),
        transport_(config_, random, now),
        client_auth_(config_.user, config_.limits.auth_attempts),
        server_auth_(config_.limits.auth_attempts),
        mux_(config_.role, config_.limits, config_.timing, transport_) {}

  // ---- in

  void commit(std::size_t n, Instant now) {
    if (n == 0 || ended()) return;
    transport_.commit(n, now);
    if (authenticated_) mux_.heard(now);
  }

  void commit_end(std::optional<Error> why) {
    if (ended() || std::exchange(input_ended_, true)) return;
    lost_ = std::move(why);
  }

  std::optional<Event> next_event() {
    mux_.reuse_ids();
    if (auto event = take_queued()) return event;
    if (ended()) return std::nullopt;
    auto event = understand();
    if (!event) {
      Error error = std::move(event).error();
      if (error.code == Errc::malformed) {
        error.message = fmt::format("the {} sent a malformed message: {}",
                                    config_.role == Role::client ? "server" : "client", error.message);
      }
      end_with(std::move(error));
      return take_queued();
    }
    if (*event) return std::move(*event);
    if (input_ended_) {
      end_with(lost_ ? *std::move(lost_) : transport_.end_of_input());
      return take_queued();
    }
    return std::nullopt;
  }

  // ---- out

  void consume_output(std::size_t n, Instant now) {
    transport_.consume_output(n, now);
    mux_.output_consumed(n, now);
  }

  // ---- time

  void advance(Instant now) {
    if (ended()) return;
    auto state = transport_.advance(now);
    if (state && authenticated_) state = mux_.advance(now);
    if (!state) end_with(std::move(state).error());
  }

  [[nodiscard]] Instant next_deadline() const {
    return ended() ? kNever : std::min(transport_.next_deadline(), mux_.next_deadline());
  }

  // ---- commands that concern more than one layer

  void accept_host_key() {
    if (!ended()) transport_.accept_host_key();
  }
  void reject_host_key(std::string reason) {
    if (ended() || !transport_.awaits_host_key_verdict()) return;
    end_with(Error{Errc::verification, std::move(reason),
                   static_cast<std::int64_t>(DisconnectReason::host_key_not_verifiable)});
  }
  void host_signature(ByteView signature) {
    if (!ended()) transport_.host_signature(signature);
  }

  template <class Command>
  void authenticate(Command command) {
    if (!may_authenticate()) return;
    if (const std::optional<SecretBytes> payload = command(client_auth_)) send(*payload);
  }
  void try_public_key(OfferedKey key, bool ask_first) {
    if (!may_authenticate()) return;
    bind_to_host();
    if (ask_first) {
      authenticate([&](ClientAuth& auth) { return auth.ask_public_key(std::move(key)); });
    } else if (auto wanted = client_auth_.sign_at_once(std::move(key), transport_.session_id())) {
      queued_.emplace_back(std::move(*wanted));
    }
  }
  void skip_signature() {
    if (!may_authenticate()) return;
    if (auto next = client_auth_.skip_signature()) queue_auth_next(std::move(*next));
  }
  void accept_user() {
    if (ended()) return;
    if (const auto accepted = server_auth_.accept()) {
      answer_attempt(accepted->payload);
      if (accepted->authenticated && !ended()) queued_.emplace_back(enter_connected());
    }
  }
  void refuse_user() {
    if (const auto payload = server_auth_.refuse()) answer_attempt(*payload);
  }

  void announce_host_keys() {
    if (config_.role != Role::server || !authenticated_ || ended() || config_.host_keys.empty()) return;
    mux_.global_request("hostkeys-00@openssh.com", host_key_list(config_.host_keys), false, 0,
                        transport_.now());
  }
  void host_key_proof(std::span<const Bytes> signatures) {
    if (ended()) return;
    Bytes proof;
    if (signatures.size() == proofs_wanted_ && std::ranges::none_of(signatures, &Bytes::empty)) {
      for (const Bytes& signature : signatures) Writer(proof).string(signature);
    }
    mux_.prove_host_keys(proof);
  }

  Result<ChannelId> open(std::string_view type, ByteView fields) {
    if (!authenticated_ || ended()) return fail(Errc::closed, "not connected");
    return mux_.open(type, fields);
  }

  void disconnect(std::string_view text, Goodbye why) {
    if (ended()) return;
    const auto reason = why == Goodbye::too_many_connections ? DisconnectReason::too_many_connections
                                                             : DisconnectReason::by_application;
    end_with(Error{Errc::cancelled, std::string(text), static_cast<std::int64_t>(reason)});
  }

  Mux* mux() { return ended() ? nullptr : &mux_; }
  Transport& transport() { return transport_; }
  [[nodiscard]] const Transport& transport() const { return transport_; }
  [[nodiscard]] const Mux& mux_state() const { return mux_; }
  [[nodiscard]] bool ended() const { return ended_; }
  [[nodiscard]] bool authenticated() const { return authenticated_; }
  [[nodiscard]] std::uint32_t refused_attempts() const { return server_auth_.refused(); }

 private:
  std::optional<Event> take_queued() {
    if (queued_.empty()) return std::nullopt;
    Event event = std::move(queued_.front());
    queued_.pop_front();
    return event;
  }

  // The next event, from what came or from turns to send; none: nothing to do.
  Result<std::optional<Event>> understand() {
    while (!server_auth_.awaits_verdict()) {
      if (mux_.failure()) return std::unexpected(*mux_.failure());
      if (transport_.pending_output() > mux_.output_limit() + kUnreadOutput) {
        return fail(Errc::limit, "the peer sends requests but does not read the answers");
      }
      auto step = TRY(transport_.next());
      mux_.link_ready();
      if (std::holds_alternative<std::monostate>(step)) break;
      auto event = TRY(std::visit([&](auto& s) { return on_step(s); }, step));
      if (event) return event;
      if (auto queued = take_queued()) return queued;
    }
    if (server_auth_.awaits_verdict()) TRY(transport_.bound_unread());
    if (std::exchange(auth_may_start_, false)) {
      auth_started_ = true;
      return AuthNext{{}, false, server_algorithms()};
    }
    return mux_.next_event();
  }

  using EventStep = Result<std::optional<Event>>;

  EventStep on_step(std::monostate&) { return std::nullopt; }
  EventStep on_step(HostKeyOffered& event) { return Event(std::move(event)); }
  EventStep on_step(HostSignatureWanted& event) { return Event(std::move(event)); }

  EventStep on_step(KeysAgreed& event) {
    agreed_host_key_ = event.host_key;
    if (event.first) {
      client_auth_.set_session_id(transport_.session_id());
      server_auth_.set_session(transport_.session_id(), transport_.shown_host_key());
      if (config_.role == Role::client) {
        // The service is as good as granted: what follows need not wait for the answer. Authentication starts
        // when all that came with the keys is understood, so that server-sig-algs is known.
        send(encoded(ServiceRequestMessage{kAuthService}));
        auth_may_start_ = true;
      }
    }
    return Event(std::move(event));
  }

  EventStep on_step(Transport::Payload& payload) {
    const std::uint8_t number = payload.bytes[0];
    if (number == ServiceRequestMessage::kNumber) return on_service_request(payload.bytes);
    if (number == ServiceAcceptMessage::kNumber) {
      const auto message = TRY(decode<ServiceAcceptMessage>(payload.bytes));
      if (message.service != kAuthService)
        return fail(Errc::protocol, "the server accepted a service not asked for");
      transport_.enter(Phase::authentication);
      return std::nullopt;
    }
    if (number == GlobalRequestMessage::kNumber) return on_global_request(payload.bytes);
    if (number >= 80) return mux_.on_message(payload.bytes, transport_.now());
    return config_.role == Role::client ? on_client_auth(payload.bytes) : on_server_auth(payload.bytes);
  }

  // The mux leaves to us what takes the keys.
  EventStep on_global_request(ByteView payload) {
    auto event = TRY(mux_.on_message(payload, transport_.now()));
    const auto* asked = event ? std::get_if<GlobalRequested>(&*event) : nullptr;
    if (asked == nullptr || asked->name != kHostKeysProve) return event;
    auto wanted =
        read_proof_request(asked->data, config_.host_keys, transport_.session_id(), agreed_host_key_);
    proofs_wanted_ = wanted ? wanted->keys.size() : 0;
    if (wanted) return Event(std::move(*wanted));
    mux_.prove_host_keys({});
    return std::nullopt;
  }

  EventStep on_service_request(ByteView payload) {
    const auto message = TRY(decode<ServiceRequestMessage>(payload));
    if (message.service != kAuthService) {
      return fail(Errc::protocol, "the client asked for an unknown service",
                  static_cast<std::int64_t>(DisconnectReason::service_not_available));
    }
    send(encoded(ServiceAcceptMessage{message.service}));
    transport_.enter(Phase::authentication);
    return std::nullopt;
  }

  EventStep on_client_auth(ByteView payload) {
    bind_to_host();
    auto step = TRY(client_auth_.on_message(payload));
    if (std::holds_alternative<std::monostate>(step)) return std::nullopt;
    if (auto* next = std::get_if<AuthNext>(&step)) {
      next->server_signature_algorithms = server_algorithms();
      return Event(std::move(*next));
    }
    if (std::holds_alternative<Authenticated>(step)) return Event(enter_connected());
    if (auto* wanted = std::get_if<UserSignatureWanted>(&step)) return Event(std::move(*wanted));
    if (auto* prompts = std::get_if<PromptsShown>(&step)) return Event(std::move(*prompts));
    return Event(std::move(std::get<BannerShown>(step)));
  }

  EventStep on_server_auth(ByteView payload) {
    if (authenticated_) return std::nullopt;  // RFC 4252 section 5.1: further requests are ignored
    auto step = TRY(server_auth_.on_message(payload));
    if (auto* reply = std::get_if<ServerAuth::Reply>(&step)) {
      answer_attempt(reply->payload);
      return std::nullopt;
    }
    if (auto* offered = std::get_if<UserOffered>(&step)) return Event(std::move(*offered));
    return std::nullopt;
  }

  void answer_attempt(ByteView payload) {
    if (!config_.banner.empty()) send(banner_message(std::exchange(config_.banner, {})));
    send(payload);
  }

  Authenticated enter_connected() {
    authenticated_ = true;
    transport_.enter(Phase::connected);
    mux_.start(transport_.now(), transport_.exchange_time(), transport_.peer_is_culvert());
    tell_instance();
    return {};
  }

  void tell_instance() {
    if (config_.role != Role::client || !config_.instance || !transport_.server_takes_instance()) return;
    Bytes data;
    encode_fields(data, InstanceRequest{*config_.instance});
    mux_.global_request(InstanceRequest::kName, data, false, 0, transport_.now());
  }

  // Asked anew before each signature: what the server says of it may come after the first attempt.
  void bind_to_host() {
    if (config_.host_bound && transport_.server_takes_host_bound())
      client_auth_.bind_to_host(transport_.shown_host_key());
  }
  [[nodiscard]] bool may_authenticate() const { return auth_started_ && !authenticated_ && !ended(); }
  [[nodiscard]] std::vector<std::string> server_algorithms() const {
    std::vector<std::string> names;
    for (const std::string_view name : split_names(transport_.server_signature_algorithms()))
      names.emplace_back(name);
    return names;
  }
  void queue_auth_next(AuthNext next) {
    next.server_signature_algorithms = server_algorithms();
    queued_.emplace_back(std::move(next));
  }

  void send(ByteView payload) {
    if (ended()) return;
    if (auto sent = transport_.send(payload); !sent) end_with(std::move(sent).error());
  }

  // The one way out: says goodbye where that makes sense, ends every channel, and then the session.
  void end_with(Error error) {
    if (ended()) return;
    ended_ = true;
    const bool peer_is_gone =
        lost_.has_value() || error.code == Errc::closed || error.code == Errc::timed_out;
    if (!peer_is_gone) {
      // The peer learns the kind of its mistake; ours to know is the rest.
      transport_.say_goodbye(reason_of(error).value_or(DisconnectReason::protocol_error),
                             error.code == Errc::cancelled ? error.message : "disconnected");
    }
    for (Event& event : mux_.shut_down()) queued_.push_back(std::move(event));
    queued_.emplace_back(Disconnected{std::move(error)});
  }

  SessionConfig config_;
  Transport transport_;
  ClientAuth client_auth_;
  ServerAuth server_auth_;
  Mux mux_;
  std::deque<Event> queued_;
  std::string agreed_host_key_;    // the algorithm of the last key exchange
  std::size_t proofs_wanted_ = 0;  // signatures that answer the last question for them
  bool auth_may_start_ = false;
  bool auth_started_ = false;
  bool authenticated_ = false;
  bool input_ended_ = false;
  std::optional<Error> lost_;  // then: the connection below us, in place of an end
  bool ended_ = false;
};

// ---------------------------------------------------------------------------------------------------------------------

Session::Session(SessionConfig config, crypto::Random& random, Instant now)
    : impl_(std::make_unique<Impl>(std::move(config), random, now)) {}
Session::~Session() = default;

MutableBytes Session::prepare(std::size_t n) { return impl_->transport().prepare(n); }
void Session::commit(std::size_t n, Instant now) { impl_->commit(n, now); }
void Session::commit_end(Instant, std::optional<Error> why) { impl_->commit_end(std::move(why)); }
std::optional<Event> Session::next_event() { return impl_->next_event(); }

ByteView Session::output() const { return impl_->transport().output(); }
void Session::consume_output(std::size_t n, Instant now) { impl_->consume_output(n, now); }
std::size_t Session::output_limit() const { return impl_->mux_state().output_limit(); }
void Session::advance(Instant now) { impl_->advance(now); }
Instant Session::next_deadline() const { return impl_->next_deadline(); }

void Session::accept_host_key() { impl_->accept_host_key(); }
void Session::reject_host_key(std::string reason) { impl_->reject_host_key(std::move(reason)); }
void Session::host_signature(ByteView signature) { impl_->host_signature(signature); }

void Session::try_none() {
  impl_->authenticate([](ClientAuth& auth) { return auth.try_none(); });
}
void Session::try_public_key(crypto::PublicKey key, std::string algorithm, bool ask_first) {
  Bytes blob = copy_of(key.blob());
  impl_->try_public_key({std::move(key), std::move(blob), std::move(algorithm)}, ask_first);
}
void Session::try_certificate(const crypto::Certificate& certificate, std::string algorithm, bool ask_first) {
  impl_->try_public_key({certificate.key(), copy_of(certificate.blob()), std::move(algorithm)}, ask_first);
}
void Session::user_signature(ByteView signature) {
  impl_->authenticate([&](ClientAuth& auth) { return auth.user_signature(signature); });
}
void Session::skip_signature() { impl_->skip_signature(); }
void Session::try_password(const SecretBytes& password) {
  impl_->authenticate([&](ClientAuth& auth) { return auth.try_password(password); });
}
void Session::try_keyboard_interactive() {
  impl_->authenticate([](ClientAuth& auth) { return auth.try_keyboard_interactive(); });
}
void Session::answer_prompts(std::span<const SecretBytes> answers) {
  impl_->authenticate([&](ClientAuth& auth) { return auth.answer_prompts(answers); });
}
void Session::accept_user() { impl_->accept_user(); }
void Session::refuse_user() { impl_->refuse_user(); }

Result<ChannelId> Session::open_direct_tcpip(std::string_view host, std::uint32_t port,
                                             std::string_view origin_host, std::uint32_t origin_port) {
  Bytes fields;
  encode_fields(fields, TcpipOpen{host, port, origin_host, origin_port});
  return impl_->open("direct-tcpip", fields);
}
Result<ChannelId> Session::open_direct_streamlocal(std::string_view path) {
  Bytes fields;
  encode_fields(fields, DirectStreamlocalOpen{path, "", 0});
  return impl_->open("direct-streamlocal@openssh.com", fields);
}
Result<ChannelId> Session::open_forwarded_tcpip(std::string_view host, std::uint32_t port,
                                                std::string_view origin_host, std::uint32_t origin_port) {
  Bytes fields;
  encode_fields(fields, TcpipOpen{host, port, origin_host, origin_port});
  return impl_->open("forwarded-tcpip", fields);
}

Result<ChannelId> Session::open_forwarded_streamlocal(std::string_view path) {
  Bytes fields;
  encode_fields(fields, ForwardedStreamlocalOpen{path, ""});
  return impl_->open("forwarded-streamlocal@openssh.com", fields);
}

void Session::accept_channel(ChannelId id) {
  if (Mux* mux = impl_->mux()) mux->accept(id);
}
void Session::refuse_channel(ChannelId id, OpenFailure reason, std::string_view description) {
  if (Mux* mux = impl_->mux()) mux->refuse(id, reason, description);
}
std::size_t Session::sendable(ChannelId id) const {
  const Mux* mux = impl_->mux();
  return mux == nullptr ? 0 : mux->sendable(id);
}
std::size_t Session::send(ChannelId id, ByteView data) {
  Mux* mux = impl_->mux();
  return mux == nullptr ? 0 : mux->send(id, data);
}
void Session::consumed(ChannelId id, std::size_t n) {
  if (Mux* mux = impl_->mux()) mux->consumed(id, n, impl_->transport().now());
}
void Session::send_eof(ChannelId id) {
  if (Mux* mux = impl_->mux()) mux->send_eof(id);
}
void Session::close(ChannelId id) {
  if (Mux* mux = impl_->mux()) mux->close(id);
}
bool Session::send_global_request(std::string_view name, ByteView data, bool want_reply,
                                  std::uint64_t token) {
  Mux* mux = impl_->mux();
  return mux != nullptr && mux->global_request(name, data, want_reply, token, impl_->transport().now());
}
void Session::reply_global(bool success, ByteView data) {
  if (Mux* mux = impl_->mux()) mux->reply_global(success, data);
}
void Session::reply_listen(bool success, std::uint32_t bound_port) {
  if (Mux* mux = impl_->mux()) mux->reply_listen(success, bound_port);
}
void Session::announce_host_keys() { impl_->announce_host_keys(); }
void Session::host_key_proof(std::span<const Bytes> signatures) { impl_->host_key_proof(signatures); }
void Session::reply_channel(ChannelId id, bool success) {
  if (Mux* mux = impl_->mux()) mux->reply_channel(id, success);
}
void Session::send_exit_status(ChannelId id, std::uint32_t status) {
  if (Mux* mux = impl_->mux()) mux->send_exit_status(id, status);
}
void Session::request_rekey() {
  if (!impl_->ended()) impl_->transport().request_rekey();
}
void Session::disconnect(std::string_view text, Goodbye why) { impl_->disconnect(text, why); }

std::string_view Session::peer_identification() const { return impl_->transport().peer_identification(); }
bool Session::peer_is_culvert() const { return impl_->transport().peer_is_culvert(); }
std::size_t Session::channel_count() const { return impl_->mux_state().channel_count(); }
bool Session::is_authenticated() const { return impl_->authenticated(); }
std::uint32_t Session::refused_attempts() const { return impl_->refused_attempts(); }
bool Session::is_closed() const { return impl_->ended(); }

bool is_goodbye(const Error& error) { return error.code == Errc::closed && reason_of(error).has_value(); }

}  // namespace culvert::ssh

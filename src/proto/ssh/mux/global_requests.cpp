// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/mux/global_requests.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "proto/ssh/wire/messages.hpp"

namespace culvert::ssh {
namespace {

constexpr std::size_t kMaxText = 4096;
constexpr std::size_t kMaxPlace = 1024;  // longer than any host name or path of a socket

struct ListenName {
  std::string_view name;
  bool cancel, is_path;
};
constexpr ListenName kListenNames[] = {
    {"tcpip-forward", false, false},
    {"cancel-tcpip-forward", true, false},
    {"streamlocal-forward@openssh.com", false, true},
    {"cancel-streamlocal-forward@openssh.com", true, true},
};

Bytes success(ByteView data = {}) { return encoded(RequestSuccessMessage{Rest{data}}); }
Bytes refusal() { return encoded(RequestFailureMessage{}); }

}  // namespace

Result<std::optional<Event>> GlobalRequests::on_request(ByteView payload) {
  const auto message = TRY(decode<GlobalRequestMessage>(payload));
  const bool want_reply = message.want_reply;
  const auto answered = [&](Bytes answer) -> Result<std::optional<Event>> {
    if (want_reply) TRY(owe({.kind = Kind::ours, .answer = std::move(answer)}));
    return std::nullopt;
  };
  if (role_ == Role::client || message.name == "keepalive@openssh.com") return answered(refusal());
  if (message.name == "no-more-sessions@openssh.com") {
    no_more_sessions_ = true;
    return answered(success());
  }
  const auto* listen = std::ranges::find(kListenNames, message.name, &ListenName::name);
  if (listen != std::end(kListenNames))
    return on_listen(message.data.bytes, {listen->cancel, listen->is_path, {}, 0}, want_reply);
  if (message.name == InstanceRequest::kName) return on_instance(message.data.bytes, want_reply);
  const bool is_proof = message.name == kHostKeysProve;
  if (is_proof && (!want_reply || oldest(Kind::proof) != nullptr)) return answered(refusal());
  if (want_reply) TRY(owe({.kind = is_proof ? Kind::proof : Kind::other}));
  return GlobalRequested{std::string(message.name.substr(0, kMaxText)), copy_of(message.data.bytes),
                         want_reply};
}

Result<std::optional<Event>> GlobalRequests::on_listen(ByteView data, ListenRequested event,
                                                       bool want_reply) {
  std::string_view host;
  if (event.is_path) {
    host = TRY(decode_fields<StreamlocalForward>(data)).path;
  } else {
    const auto wanted = TRY(decode_fields<TcpipForward>(data));
    host = wanted.address, event.port = wanted.port;
  }
  if (host.size() > kMaxPlace || event.port > 65535) {  // impossible
    if (want_reply) TRY(owe({.kind = Kind::ours, .answer = refusal()}));
    return std::nullopt;
  }
  TRY(owe({.kind = Kind::listen,
           .tells_port = !event.is_path && !event.cancel && event.port == 0,
           .is_told = want_reply}));
  event.host = host;
  return event;
}

// A session stays that of one run. Other sizes may mean something to others: they are refused like names that
// nobody knows.
Result<std::optional<Event>> GlobalRequests::on_instance(ByteView data, bool want_reply) {
  const ByteView id = TRY(decode_fields<InstanceRequest>(data)).id;
  InstanceTold event{};
  const bool counts = id.size() == event.id.size() && !std::exchange(instance_told_, true);
  if (want_reply) TRY(owe({.kind = Kind::ours, .answer = counts ? success() : refusal()}));
  if (!counts) return std::nullopt;
  std::ranges::copy(id, event.id.begin());
  return event;
}

Result<void> GlobalRequests::owe(Owed owed) {
  if (owed_.size() >= most_ && !(owed_.empty() && owed.answer)) {
    return fail(Errc::protocol, "too many global requests at once",
                static_cast<std::int64_t>(DisconnectReason::protocol_error));
  }
  owed_.push_back(std::move(owed));
  return {};
}

GlobalRequests::Owed* GlobalRequests::oldest(Kind kind) {
  const auto found =
      std::ranges::find_if(owed_, [&](const Owed& owed) { return owed.kind == kind && !owed.answer; });
  return found == owed_.end() ? nullptr : &*found;
}

void GlobalRequests::reply(bool succeeded, ByteView data) {
  if (Owed* owed = oldest(Kind::other)) owed->answer = succeeded ? success(data) : refusal();
}

void GlobalRequests::reply_listen(bool succeeded, std::uint32_t bound_port) {
  Owed* owed = oldest(Kind::listen);
  if (owed == nullptr) return;
  Bytes port;
  if (owed->tells_port) encode_fields(port, TcpipForwardReply{bound_port});
  owed->answer = succeeded ? success(port) : refusal();
}

void GlobalRequests::prove(ByteView signatures) {
  if (Owed* owed = oldest(Kind::proof)) owed->answer = signatures.empty() ? refusal() : success(signatures);
}

std::optional<Bytes> GlobalRequests::next_answer() {
  while (!owed_.empty() && owed_.front().answer) {
    const Owed owed = std::move(owed_.front());
    owed_.pop_front();
    if (owed.is_told) return owed.answer;
  }
  return std::nullopt;
}

}  // namespace culvert::ssh

// SPDX-License-Identifier: Apache-2.0
// Every message of the SSH protocol that we know, once: its number, its fields in wire order, and where it is
// defined. To add one: write the struct, and name it in AllMessages.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <tuple>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "proto/ssh/wire/codec.hpp"

namespace culvert::ssh {

// ---- Transport
// ------------------------------------------------------------------------------------------------------

/// RFC 4253 section 11.1, the reason codes that we use.
enum class DisconnectReason : std::uint32_t {
  protocol_error = 2,
  key_exchange_failed = 3,
  mac_error = 5,
  service_not_available = 7,
  host_key_not_verifiable = 9,
  connection_lost = 10,
  by_application = 11,
  too_many_connections = 12,
  no_more_auth_methods_available = 14,
};

/// The reason that an error of a session carries as its `detail`; none: it has another, or none.
[[nodiscard]] inline std::optional<DisconnectReason> reason_of(const Error& error) {
  constexpr std::int64_t kLast = 15;
  if (error.detail < 1 || error.detail > kLast) return std::nullopt;
  return static_cast<DisconnectReason>(error.detail);
}

/// RFC 4253 section 11.1.
struct DisconnectMessage {
  static constexpr std::uint8_t kNumber = 1;
  std::uint32_t reason;
  std::string_view description;
  std::string_view language;
  static constexpr auto fields() {
    return std::tuple{&DisconnectMessage::reason, &DisconnectMessage::description,
                      &DisconnectMessage::language};
  }
};

/// RFC 4253 section 11.2.
struct IgnoreMessage {
  static constexpr std::uint8_t kNumber = 2;
  ByteView data;
  static constexpr auto fields() { return std::tuple{&IgnoreMessage::data}; }
};

/// RFC 4253 section 11.4.
struct UnimplementedMessage {
  static constexpr std::uint8_t kNumber = 3;
  std::uint32_t sequence;
  static constexpr auto fields() { return std::tuple{&UnimplementedMessage::sequence}; }
};

/// RFC 4253 section 11.3.
struct DebugMessage {
  static constexpr std::uint8_t kNumber = 4;
  bool always_display;
  std::string_view text;
  std::string_view language;
  static constexpr auto fields() {
    return std::tuple{&DebugMessage::always_display, &DebugMessage::text, &DebugMessage::language};
  }
};

/// RFC 4253 section 10.
struct ServiceRequestMessage {
  static constexpr std::uint8_t kNumber = 5;
  std::string_view service;
  static constexpr auto fields() { return std::tuple{&ServiceRequestMessage::service}; }
};

/// RFC 4253 section 10.
struct ServiceAcceptMessage {
  static constexpr std::uint8_t kNumber = 6;
  std::string_view service;
  static constexpr auto fields() { return std::tuple{&ServiceAcceptMessage::service}; }
};

/// RFC 8308 section 2.3. `extensions`: `count` pairs of strings, name and value.
struct ExtInfoMessage {
  static constexpr std::uint8_t kNumber = 7;
  std::uint32_t count;
  Rest extensions;
  static constexpr auto fields() { return std::tuple{&ExtInfoMessage::count, &ExtInfoMessage::extensions}; }
};

/// RFC 4253 section 7.1.
struct KexInitMessage {
  static constexpr std::uint8_t kNumber = 20;
  Cookie cookie;
  NameList key_exchanges, host_keys;
  NameList ciphers_to_server, ciphers_to_client;
  NameList macs_to_server, macs_to_client;
  NameList compressions_to_server, compressions_to_client;
  NameList languages_to_server, languages_to_client;
  bool first_packet_follows;
  std::uint32_t reserved;
  static constexpr auto fields() {
    using M = KexInitMessage;
    return std::tuple{&M::cookie,
                      &M::key_exchanges,
                      &M::host_keys,
                      &M::ciphers_to_server,
                      &M::ciphers_to_client,
                      &M::macs_to_server,
                      &M::macs_to_client,
                      &M::compressions_to_server,
                      &M::compressions_to_client,
                      &M::languages_to_server,
                      &M::languages_to_client,
                      &M::first_packet_follows,
                      &M::reserved};
  }
};

/// RFC 4253 section 7.3.
struct NewKeysMessage {
  static constexpr std::uint8_t kNumber = 21;
  static constexpr auto fields() { return std::tuple{}; }
};

/// RFC 5656 section 4, RFC 8731, RFC 10042: the client's value as a string.
struct KexStringInitMessage {
  static constexpr std::uint8_t kNumber = 30;
  ByteView client_value;
  static constexpr auto fields() { return std::tuple{&KexStringInitMessage::client_value}; }
};

/// RFC 5656 section 4.
struct KexStringReplyMessage {
  static constexpr std::uint8_t kNumber = 31;
  ByteView host_key;
  ByteView server_value;
  ByteView signature;
  static constexpr auto fields() {
    return std::tuple{&KexStringReplyMessage::host_key, &KexStringReplyMessage::server_value,
                      &KexStringReplyMessage::signature};
  }
};

/// RFC 4253 section 8: the client's value as an mpint.
struct KexMpintInitMessage {
  static constexpr std::uint8_t kNumber = 30;
  Mpint client_value;
  static constexpr auto fields() { return std::tuple{&KexMpintInitMessage::client_value}; }
};

/// RFC 4253 section 8.
struct KexMpintReplyMessage {
  static constexpr std::uint8_t kNumber = 31;
  ByteView host_key;
  Mpint server_value;
  ByteView signature;
  static constexpr auto fields() {
    return std::tuple{&KexMpintReplyMessage::host_key, &KexMpintReplyMessage::server_value,
                      &KexMpintReplyMessage::signature};
  }
};

/// OpenSSH PROTOCOL, "transport: ping facility".
struct PingMessage {
  static constexpr std::uint8_t kNumber = 192;
  ByteView data;
  static constexpr auto fields() { return std::tuple{&PingMessage::data}; }
};

/// OpenSSH PROTOCOL: the answer, with the same data.
struct PongMessage {
  static constexpr std::uint8_t kNumber = 193;
  ByteView data;
  static constexpr auto fields() { return std::tuple{&PongMessage::data}; }
};

// ---- Authentication
// -------------------------------------------------------------------------------------------------

/// RFC 4252 section 5.
struct UserauthRequestMessage {
  static constexpr std::uint8_t kNumber = 50;
  std::string_view user;
  std::string_view service;
  std::string_view method;
  Rest method_fields;
  static constexpr auto fields() {
    return std::tuple{&UserauthRequestMessage::user, &UserauthRequestMessage::service,
                      &UserauthRequestMessage::method, &UserauthRequestMessage::method_fields};
  }
};

/// RFC 4252 section 5.1.
struct UserauthFailureMessage {
  static constexpr std::uint8_t kNumber = 51;
  NameList can_continue;
  bool partial_success;
  static constexpr auto fields() {
    return std::tuple{&UserauthFailureMessage::can_continue, &UserauthFailureMessage::partial_success};
  }
};

/// RFC 4252 section 5.1.
struct UserauthSuccessMessage {
  static constexpr std::uint8_t kNumber = 52;
  static constexpr auto fields() { return std::tuple{}; }
};

/// RFC 4252 section 5.4.
struct UserauthBannerMessage {
  static constexpr std::uint8_t kNumber = 53;
  std::string_view text;
  std::string_view language;
  static constexpr auto fields() {
    return std::tuple{&UserauthBannerMessage::text, &UserauthBannerMessage::language};
  }
};

/// RFC 4252 section 7 (method publickey).
struct UserauthPkOkMessage {
  static constexpr std::uint8_t kNumber = 60;
  std::string_view algorithm;
  ByteView key;
  static constexpr auto fields() {
    return std::tuple{&UserauthPkOkMessage::algorithm, &UserauthPkOkMessage::key};
  }
};

/// RFC 4252 section 8 (method password).
struct UserauthPasswordChangeMessage {
  static constexpr std::uint8_t kNumber = 60;
  std::string_view prompt;
  std::string_view language;
  static constexpr auto fields() {
    return std::tuple{&UserauthPasswordChangeMessage::prompt, &UserauthPasswordChangeMessage::language};
  }
};

/// RFC 4256 section 3.2 (method keyboard-interactive). `prompts`: `count` times string prompt, boolean echo.
struct UserauthInfoRequestMessage {
  static constexpr std::uint8_t kNumber = 60;
  std::string_view name;
  std::string_view instruction;
  std::string_view language;
  std::uint32_t count;
  Rest prompts;
  static constexpr auto fields() {
    using M = UserauthInfoRequestMessage;
    return std::tuple{&M::name, &M::instruction, &M::language, &M::count, &M::prompts};
  }
};

/// RFC 4256 section 3.4. `answers`: `count` strings.
struct UserauthInfoResponseMessage {
  static constexpr std::uint8_t kNumber = 61;
  std::uint32_t count;
  Rest answers;
  static constexpr auto fields() {
    return std::tuple{&UserauthInfoResponseMessage::count, &UserauthInfoResponseMessage::answers};
  }
};

/// RFC 4252 section 7: the method's own fields of a publickey request; `rest` holds the signature if
/// `is_signed`.
struct PublicKeyMethod {
  bool is_signed;
  std::string_view algorithm;
  ByteView key;
  Rest rest;
  static constexpr auto fields() {
    return std::tuple{&PublicKeyMethod::is_signed, &PublicKeyMethod::algorithm, &PublicKeyMethod::key,
                      &PublicKeyMethod::rest};
  }
};

// ---- Connection
// -----------------------------------------------------------------------------------------------------

/// RFC 4254 section 4.
struct GlobalRequestMessage {
  static constexpr std::uint8_t kNumber = 80;
  std::string_view name;
  bool want_reply;
  Rest data;
  static constexpr auto fields() {
    return std::tuple{&GlobalRequestMessage::name, &GlobalRequestMessage::want_reply,
                      &GlobalRequestMessage::data};
  }
};

/// RFC 4254 section 4.
struct RequestSuccessMessage {
  static constexpr std::uint8_t kNumber = 81;
  Rest data;
  static constexpr auto fields() { return std::tuple{&RequestSuccessMessage::data}; }
};

/// RFC 4254 section 4.
struct RequestFailureMessage {
  static constexpr std::uint8_t kNumber = 82;
  static constexpr auto fields() { return std::tuple{}; }
};

/// RFC 4254 section 5.1.
struct ChannelOpenMessage {
  static constexpr std::uint8_t kNumber = 90;
  std::string_view type;
  std::uint32_t sender;
  std::uint32_t window;
  std::uint32_t max_packet;
  Rest type_fields;
  static constexpr auto fields() {
    using M = ChannelOpenMessage;
    return std::tuple{&M::type, &M::sender, &M::window, &M::max_packet, &M::type_fields};
  }
};

/// RFC 4254 section 5.1.
struct ChannelOpenConfirmationMessage {
  static constexpr std::uint8_t kNumber = 91;
  std::uint32_t recipient;
  std::uint32_t sender;
  std::uint32_t window;
  std::uint32_t max_packet;
  Rest type_fields;
  static constexpr auto fields() {
    using M = ChannelOpenConfirmationMessage;
    return std::tuple{&M::recipient, &M::sender, &M::window, &M::max_packet, &M::type_fields};
  }
};

/// RFC 4254 section 5.1.
struct ChannelOpenFailureMessage {
  static constexpr std::uint8_t kNumber = 92;
  std::uint32_t recipient;
  std::uint32_t reason;
  std::string_view description;
  std::string_view language;
  static constexpr auto fields() {
    using M = ChannelOpenFailureMessage;
    return std::tuple{&M::recipient, &M::reason, &M::description, &M::language};
  }
};

/// RFC 4254 section 5.2.
struct ChannelWindowAdjustMessage {
  static constexpr std::uint8_t kNumber = 93;
  std::uint32_t recipient;
  std::uint32_t bytes;
  static constexpr auto fields() {
    return std::tuple{&ChannelWindowAdjustMessage::recipient, &ChannelWindowAdjustMessage::bytes};
  }
};

/// RFC 4254 section 5.2. What is sent goes through Transport::send_data instead, without a copy.
struct ChannelDataMessage {
  static constexpr std::uint8_t kNumber = 94;
  std::uint32_t recipient;
  ByteView data;
  static constexpr auto fields() {
    return std::tuple{&ChannelDataMessage::recipient, &ChannelDataMessage::data};
  }
};

/// RFC 4254 section 5.2.
struct ChannelExtendedDataMessage {
  static constexpr std::uint8_t kNumber = 95;
  std::uint32_t recipient;
  std::uint32_t type;
  ByteView data;
  static constexpr auto fields() {
    using M = ChannelExtendedDataMessage;
    return std::tuple{&M::recipient, &M::type, &M::data};
  }
};

/// RFC 4254 section 5.3.
struct ChannelEofMessage {
  static constexpr std::uint8_t kNumber = 96;
  std::uint32_t recipient;
  static constexpr auto fields() { return std::tuple{&ChannelEofMessage::recipient}; }
};

/// RFC 4254 section 5.3.
struct ChannelCloseMessage {
  static constexpr std::uint8_t kNumber = 97;
  std::uint32_t recipient;
  static constexpr auto fields() { return std::tuple{&ChannelCloseMessage::recipient}; }
};

/// RFC 4254 section 5.4.
struct ChannelRequestMessage {
  static constexpr std::uint8_t kNumber = 98;
  std::uint32_t recipient;
  std::string_view type;
  bool want_reply;
  Rest data;
  static constexpr auto fields() {
    using M = ChannelRequestMessage;
    return std::tuple{&M::recipient, &M::type, &M::want_reply, &M::data};
  }
};

/// RFC 4254 section 5.4.
struct ChannelSuccessMessage {
  static constexpr std::uint8_t kNumber = 99;
  std::uint32_t recipient;
  static constexpr auto fields() { return std::tuple{&ChannelSuccessMessage::recipient}; }
};

/// RFC 4254 section 5.4.
struct ChannelFailureMessage {
  static constexpr std::uint8_t kNumber = 100;
  std::uint32_t recipient;
  static constexpr auto fields() { return std::tuple{&ChannelFailureMessage::recipient}; }
};

/// RFC 4254 section 7.2: type fields of "direct-tcpip" (destination, originator) and of "forwarded-tcpip"
/// (the address that was connected, originator).
struct TcpipOpen {
  std::string_view host;
  std::uint32_t port;
  std::string_view origin_host;
  std::uint32_t origin_port;
  static constexpr auto fields() {
    return std::tuple{&TcpipOpen::host, &TcpipOpen::port, &TcpipOpen::origin_host, &TcpipOpen::origin_port};
  }
};

/// OpenSSH PROTOCOL, "Unix domain socket forwarding": type fields of "direct-streamlocal@openssh.com".
struct DirectStreamlocalOpen {
  std::string_view path;
  std::string_view reserved;
  std::uint32_t reserved_too;
  static constexpr auto fields() {
    return std::tuple{&DirectStreamlocalOpen::path, &DirectStreamlocalOpen::reserved,
                      &DirectStreamlocalOpen::reserved_too};
  }
};

/// The same section: type fields of "forwarded-streamlocal@openssh.com" (the path that was connected).
struct ForwardedStreamlocalOpen {
  std::string_view path;
  std::string_view reserved;
  static constexpr auto fields() {
    return std::tuple{&ForwardedStreamlocalOpen::path, &ForwardedStreamlocalOpen::reserved};
  }
};

/// RFC 4254 section 7.1: the data of "tcpip-forward" and "cancel-tcpip-forward".
struct TcpipForward {
  std::string_view address;
  std::uint32_t port;
  static constexpr auto fields() { return std::tuple{&TcpipForward::address, &TcpipForward::port}; }
};

/// The same section: the data of the answer where port 0 was asked for.
struct TcpipForwardReply {
  std::uint32_t port;
  static constexpr auto fields() { return std::tuple{&TcpipForwardReply::port}; }
};

/// OpenSSH PROTOCOL, "Unix domain socket forwarding": the data of "streamlocal-forward@openssh.com" and of
/// "cancel-streamlocal-forward@openssh.com".
struct StreamlocalForward {
  std::string_view path;
  static constexpr auto fields() { return std::tuple{&StreamlocalForward::path}; }
};

/// An extension of ours (ARCHITECTURE.md): the data of "instance@culvert".
struct InstanceRequest {
  static constexpr std::string_view kName = "instance@culvert";
  ByteView id;
  static constexpr auto fields() { return std::tuple{&InstanceRequest::id}; }
};

/// RFC 4254 section 6.10: the data of "exit-status" on a channel.
struct ExitStatus {
  std::uint32_t status;
  static constexpr auto fields() { return std::tuple{&ExitStatus::status}; }
};

/// All messages above. Numbers 30, 31 and 60 mean different things under different methods.
using AllMessages =
    std::tuple<DisconnectMessage, IgnoreMessage, UnimplementedMessage, DebugMessage, ServiceRequestMessage,
               ServiceAcceptMessage, ExtInfoMessage, KexInitMessage, NewKeysMessage, KexStringInitMessage,
               KexStringReplyMessage, KexMpintInitMessage, KexMpintReplyMessage, PingMessage, PongMessage,
               UserauthRequestMessage, UserauthFailureMessage, UserauthSuccessMessage, UserauthBannerMessage,
               UserauthPkOkMessage, UserauthPasswordChangeMessage, UserauthInfoRequestMessage,
               UserauthInfoResponseMessage, GlobalRequestMessage, RequestSuccessMessage,
               RequestFailureMessage, ChannelOpenMessage, ChannelOpenConfirmationMessage,
               ChannelOpenFailureMessage, ChannelWindowAdjustMessage, ChannelDataMessage,
               ChannelExtendedDataMessage, ChannelEofMessage, ChannelCloseMessage, ChannelRequestMessage,
               ChannelSuccessMessage, ChannelFailureMessage>;

}  // namespace culvert::ssh

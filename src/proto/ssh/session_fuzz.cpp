// SPDX-License-Identifier: Apache-2.0
// A machine in either role against a peer that has the keys and keeps no rules. The first byte of the input
// says who the machine is and how far the conversation went in order before the input takes over; the second
// one chooses limits; then come steps (see Harness::step): payloads as they are, messages that are
// well-formed but meant badly, commands of the machine's user, time.
#include <string>

#include "tests/support/fuzzed_session.hpp"

using namespace culvert;
using test::require;

namespace {

enum class Stage : std::uint8_t { connected, nothing, identified, first_exchange, keys, renewal, asked, too };

class Harness : test::FuzzedSession {
 public:
  Harness(std::uint8_t first, std::uint8_t choice)
      : FuzzedSession(first & 1 ? ssh::Role::server : ssh::Role::client, choice) {
    reach(static_cast<Stage>((first >> 1) % 8));
  }

  void step(test::FuzzInput& input) {
    const std::uint8_t code = input.byte();
    const std::uint8_t id = input.byte();
    const std::size_t size = size_of(input.byte());
    switch (code % 28) {
      case 0:
      case 1:
      case 2:
      case 3:
        send_raw(input.bytes(size));
        break;
      case 4:
        peer_.write_raw(input.bytes(size));
        break;
      case 5:
        send(ssh::ChannelOpenConfirmationMessage{id, id, word(input), word(input), {}});
        break;
      case 6:
        send(ssh::ChannelOpenFailureMessage{id, id, "no", ""});
        break;
      case 7:
        send(ssh::ChannelDataMessage{id, ByteView(test::filler()).first(size)});
        break;
      case 8:
        send(ssh::ChannelExtendedDataMessage{id, 1, ByteView(test::filler()).first(size)});
        break;
      case 9:
        send(ssh::ChannelWindowAdjustMessage{id, word(input)});
        break;
      case 10:
        send(ssh::ChannelEofMessage{id});
        break;
      case 11:
        send(ssh::ChannelCloseMessage{id});
        break;
      case 12:
        open_as_peer(id, word(input), word(input));
        break;
      case 13:
        send(ssh::GlobalRequestMessage{"name", id % 2 != 0, ssh::Rest{as_bytes("data")}});
        break;
      case 14:
        send(ssh::PingMessage{ByteView(test::filler()).first(size)});
        break;
      case 15:
        renew();
        break;
      case 16:
        listens_ = id % 4 != 0;
        break;
      case 17:
        pass(std::chrono::milliseconds(std::int64_t{1} << id % 18));
        break;
      case 18:
        open();
        break;
      case 19:
        session_.send(id, ByteView(test::filler()).first(size));
        break;
      case 20:
        consume(id, size);
        break;
      case 21:
        id % 2 ? session_.send_eof(id / 2) : close(id / 2);
        break;
      case 22:
        command(id);
        break;
      case 24:
        ask_on_channel(id, input.byte(), size);
        break;
      case 25:
        send(ssh::ChannelOpenMessage{"session", id, word(input), word(input), {}});
        break;
      case 26:
        ask(id, size);
        break;
      case 27:
        server_command(id);
        break;
      default:
        answer_open(id);
        break;
    }
    pump();
  }

  // The link is gone: what ended is said once and last.
  void finish() {
    session_.commit_end(clock_.now());
    take_events();
    require(ended_ && session_.is_closed(), "it ends when the link does");
    require(channels_.empty() && session_.channel_count() == 0, "every channel is given back");
    require(session_.next_deadline() == kNever, "nothing is left to wait for");
    command(0), command(7), command(12), open();
    for (std::uint8_t choice = 0; choice < 6; ++choice) server_command(choice);
    require(!session_.next_event(), "nothing wakes it up again");
  }

 private:
  static std::size_t size_of(std::uint8_t code) {
    return code < 128 ? code : std::min<std::size_t>((std::size_t{1} << code % 17) + code / 16, 64 * 1024);
  }
  // Small, huge and in between.
  static std::uint32_t word(test::FuzzInput& input) {
    const std::uint8_t code = input.byte();
    return code < 128 ? code * 300u : UINT32_MAX >> code % 32;
  }

  // ---- in order, up to where the input takes over

  void reach(Stage stage) {
    if (stage == Stage::nothing) {
      honest_ = false;
      return;
    }
    peer_.identify();
    if (stage == Stage::identified || stage == Stage::first_exchange) {
      pump();
      honest_ = false;
      if (stage == Stage::first_exchange) peer_.send_kexinit();
      return pump();
    }
    pump();
    require(!peer_.session_id().empty() && !session_.is_closed(), "keys are agreed on");
    if (stage == Stage::keys) return;
    log_in();
    require(session_.is_authenticated(), "the login works");
    if (stage == Stage::asked) {
      session_.request_rekey();
      honest_ = false;
    }
    if (stage == Stage::renewal) {
      honest_ = false;
      peer_.send_kexinit();
    }
    pump();
  }
  void log_in() {
    if (role_ == ssh::Role::client) {
      peer_.send(ssh::ServiceAcceptMessage{"ssh-userauth"});
      peer_.send(ssh::UserauthSuccessMessage{});
      return pump();
    }
    peer_.send(ssh::ServiceRequestMessage{"ssh-userauth"});
    Bytes fields;
    ssh::encode_fields(
        fields, ssh::PublicKeyMethod{true, "ssh-ed25519", test::user_key().public_key().blob(), ssh::Rest{}});
    Bytes payload = ssh::encoded(
        ssh::UserauthRequestMessage{"somebody", "ssh-connection", "publickey", ssh::Rest{fields}});
    Bytes message;
    Writer(message).string(peer_.session_id()).bytes(payload);
    Writer(payload).string(test::user_key().sign("ssh-ed25519", message).value());
    peer_.send_raw(payload);
    pump();
  }

  // ---- the peer

  void send_raw(ByteView payload) {
    if (payload.empty()) return;
    // From here on it no longer knows what was agreed on.
    if (payload[0] >= ssh::KexInitMessage::kNumber && payload[0] < 50) honest_ = false;
    peer_.send_raw(payload);
  }
  template <class Message>
  void send(const Message& message) {
    peer_.send(message);
  }
  void open_as_peer(std::uint8_t id, std::uint32_t window, std::uint32_t max_packet) {
    Bytes fields;
    ssh::encode_fields(fields, ssh::TcpipOpen{"target", 80, "origin", 1});
    const char* type = role_ == ssh::Role::server ? "direct-tcpip" : "forwarded-tcpip";
    send(ssh::ChannelOpenMessage{type, id, window, max_packet, ssh::Rest{fields}});
  }
  void ask_on_channel(std::uint8_t id, std::uint8_t choice, std::size_t size) {
    static constexpr const char* kNames[] = {
        "pty-req", "shell", "exec", "env", "x11-req", "keepalive@openssh.com", "signal", "subsystem"};
    send(ssh::ChannelRequestMessage{id, kNames[choice / 2 % 8], choice % 2 != 0,
                                    ssh::Rest{ByteView(test::filler()).first(size)}});
  }
  // Outside of channels, or to log in.
  void ask(std::uint8_t choice, std::size_t size) {
    const std::string text(size, '/');
    const bool want_reply = choice % 2 != 0;
    Bytes data;
    std::string name;
    switch (choice / 2 % 8) {
      case 0:
      case 1:
        name = choice & 2 ? "cancel-tcpip-forward" : "tcpip-forward";
        ssh::encode_fields(data, ssh::TcpipForward{text, size % 3 == 0 ? 0u : choice * 400u});
        break;
      case 2:
      case 3:
        name = choice & 2 ? "cancel-streamlocal-forward@openssh.com" : "streamlocal-forward@openssh.com";
        ssh::encode_fields(data, ssh::StreamlocalForward{text});
        break;
      case 4:
        name = "no-more-sessions@openssh.com";
        break;
      case 5:
        name = "hostkeys-prove-00@openssh.com";
        Writer(data).string((size % 4 == 3 ? test::stranger_key() : test::host_key()).public_key().blob());
        break;
      case 6:
        name = ssh::InstanceRequest::kName;
        ssh::encode_fields(data, ssh::InstanceRequest{as_bytes(text)});
        break;
      default:
        return log_in_badly(choice, size);
    }
    send(ssh::GlobalRequestMessage{name, want_reply, ssh::Rest{data}});
  }
  // A signature by the right key over the right message, all but one thing in it.
  void log_in_badly(std::uint8_t choice, std::size_t size) {
    const bool certified = size % 2 != 0, host_bound = size % 4 > 1;
    const auto kind = size % 8 > 3 ? crypto::Certificate::Kind::host : crypto::Certificate::Kind::user;
    const crypto::PublicKey& key = test::user_key().public_key();
    const Bytes blob =
        certified ? test::certificate_blob(key, kind, test::authority_key()) : copy_of(key.blob());
    Bytes rest, fields, message;
    const bool wrong_host = host_bound && size % 16 > 7;
    if (host_bound)
      Writer(rest).string((wrong_host ? test::stranger_key() : test::host_key()).public_key().blob());
    ssh::encode_fields(
        fields, ssh::PublicKeyMethod{true, certified ? "ssh-ed25519-cert-v01@openssh.com" : "ssh-ed25519",
                                     blob, ssh::Rest{rest}});
    const bool wrong_key = choice & 64;
    const bool is_bad = wrong_host || wrong_key || (certified && kind == crypto::Certificate::Kind::host);
    Bytes payload = ssh::encoded(ssh::UserauthRequestMessage{
        is_bad ? "nobody" : "somebody", "ssh-connection",
        host_bound ? "publickey-hostbound-v00@openssh.com" : "publickey", ssh::Rest{fields}});
    Writer(message).string(peer_.session_id()).bytes(payload);
    Writer(payload).string(
        (wrong_key ? test::stranger_key() : test::user_key()).sign("ssh-ed25519", message).value());
    send_raw(payload);
  }
  void renew() {
    if (!honest_ || !listens_ || kexinit_sent_) return;
    kexinit_sent_ = true;
    peer_.send_kexinit();
  }

  // ---- the machine's user

  void open() {
    const auto id = session_.open_direct_tcpip("target", 80, "origin", 1);
    if (!id) return;
    require(channels_.emplace(*id, Channel{Channel::State::opening}).second, "an id is not given twice");
  }
  void answer_open(std::uint8_t choice) {
    for (auto& [id, channel] : channels_) {
      if (channel.state != Channel::State::requested || session_.is_closed()) continue;
      if (choice % 4 == 0) {
        session_.refuse_channel(id, ssh::OpenFailure::connect_failed, "refused");
        channels_.erase(id);
      } else {
        session_.accept_channel(id);
        channel.state = Channel::State::open;
      }
      return;
    }
  }
  void close(ssh::ChannelId id) {
    const auto channel = channels_.find(id);
    session_.close(id);
    if (channel == channels_.end() || session_.is_closed()) return;
    channel->second.closed = true;
    channel->second.held = 0;
    if (channel->second.left || channel->second.state == Channel::State::requested) channels_.erase(channel);
  }
  void consume(ssh::ChannelId id, std::size_t size) {
    const auto channel = channels_.find(id);
    if (channel == channels_.end()) return;
    const std::uint64_t n = std::min<std::uint64_t>(size, channel->second.held);
    channel->second.held -= n;
    session_.consumed(id, n);
    if (channel->second.left && channel->second.held == 0) channels_.erase(channel);
  }
  void command(std::uint8_t choice) {
    switch (choice % 16) {
      case 0:
        return session_.request_rekey();
      case 1:
        return void(session_.send_global_request("name", {}, true, 1));
      case 2:
        return session_.reply_global(true, as_bytes("data"));
      case 3:
      case 4:
      case 5:
      case 6:
      case 7:
        return try_method(static_cast<std::uint8_t>(choice % 16 - 3));
      case 8:
        return session_.user_signature(as_bytes("signature"));
      case 9:
        return session_.skip_signature();
      case 10:
        return session_.answer_prompts(std::vector<SecretBytes>(choice / 16));
      case 11:
        return session_.refuse_user();
      case 12:
        return session_.accept_host_key();
      case 13:
        return session_.host_signature({});
      case 14:
        return session_.reject_host_key("no");
      default:
        return choice == 0xFF ? session_.disconnect("enough") : void();
    }
  }

  void server_command(std::uint8_t choice) {
    const std::uint32_t id = choice / 8;
    switch (choice % 8) {
      case 0:
        return session_.reply_listen(choice & 8, choice);
      case 1:
        if (channels_.contains(id) && channels_[id].asked > 0) --channels_[id].asked;
        return session_.reply_channel(id, choice & 64);
      case 2:
        return session_.send_exit_status(id, choice);
      case 3:
        return session_.announce_host_keys();
      case 4:
        proof_wanted_ = false;
        return session_.host_key_proof(std::vector<Bytes>(choice / 8 % 3, Bytes{choice}));
      case 5: {
        const auto opened = session_.open_forwarded_streamlocal("/run/socket");
        if (opened)
          require(channels_.emplace(*opened, Channel{Channel::State::opening}).second,
                  "an id is not given twice");
        return;
      }
      default:
        return session_.accept_user();
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::FuzzInput input(data, size);
  const std::uint8_t first = input.byte();
  Harness harness(first, input.byte());
  while (!input.empty()) harness.step(input);
  harness.finish();
  return 0;
}

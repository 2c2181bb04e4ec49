// SPDX-License-Identifier: Apache-2.0
// A machine in either role against a peer that has the keys and keeps no rules. The first byte of the input
// says who the machine is and how far the conversation went in order before the input takes over; the second
// one chooses limits; then come steps (see Harness::step): payloads as they are, messages that are
// well-formed but meant badly, commands of the machine's user, time.
#include <map>
#include <optional>
#include <string>

#include "proto/ssh/session.hpp"
#include "tests/support/fuzz_input.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/scripted_peer.hpp"
#include "tests/support/test_certificate.hpp"
#include "tests/support/test_keys.hpp"

using namespace culvert;
using test::require;

namespace {

enum class Stage : std::uint8_t { connected, nothing, identified, first_exchange, keys, renewal, asked, too };

constexpr std::size_t kSlack =
    (8u << 20) + (2u << 20);  // beyond the queue: answers, what a key exchange held up

const Bytes& filler() {
  static const Bytes bytes(64 * 1024, 0x5A);
  return bytes;
}

class Harness {
 public:
  Harness(std::uint8_t first, std::uint8_t choice)
      : role_(first & 1 ? ssh::Role::server : ssh::Role::client),
        config_(config(role_, choice)),
        session_(config_, random_, clock_.now()),
        peer_(first & 1 ? ssh::Role::client : ssh::Role::server, offer(role_, choice), 12) {
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
        send(ssh::ChannelDataMessage{id, ByteView(filler()).first(size)});
        break;
      case 8:
        send(ssh::ChannelExtendedDataMessage{id, 1, ByteView(filler()).first(size)});
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
        send(ssh::PingMessage{ByteView(filler()).first(size)});
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
        session_.send(id, ByteView(filler()).first(size));
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
  struct Channel {
    enum class State : std::uint8_t { opening, requested, open } state;
    bool is_session = false;
    bool ended = false, closed = false;
    unsigned asked = 0;
    std::uint64_t held = 0;
  };

  static ssh::SessionConfig config(ssh::Role role, std::uint8_t choice) {
    ssh::SessionConfig config;
    config.role = role;
    config.user = "somebody";
    config.instance = ssh::InstanceId{1, 2, 3};
    config.host_keys = {test::host_key().public_key()};
    if (choice & 64) config.banner = "text\n";
    if (choice & 128) {
      config.host_certificates = {
          test::certificate_for(test::host_key().public_key(), crypto::Certificate::Kind::host)};
    }
    config.algorithms.ciphers = {"aes128-gcm@openssh.com"};
    if (choice & 1) {
      config.limits.channels = 4;
      config.limits.window_min = 512, config.limits.window_budget = 16 * 1024;
      config.limits.window_initial = 2048, config.limits.window_max = 8192;
    }
    if (choice & 2)
      config.limits.deferred_output = 2000, config.limits.output_min = config.limits.output_max = 3000;
    if (choice & 4) config.rekey.packets = 20;
    if (choice & 8) config.limits.before_auth_bytes = 16 * 1024, config.limits.auth_attempts = 2;
    if (choice & 16) config.limits.global_requests_pending = 2;
    return config;
  }
  static test::ScriptedPeer::Offer offer(ssh::Role role, std::uint8_t choice) {
    test::ScriptedPeer::Offer offer;
    offer.key_exchange = "ecdh-sha2-nistp256";  // the cheapest
    offer.cipher = "aes128-gcm@openssh.com";
    offer.strict = offer.ext_info = (choice & 32) == 0;
    // As a server it has no certificate to show.
    if (choice & 128 && role == ssh::Role::server) offer.host_key = "ssh-ed25519-cert-v01@openssh.com";
    return offer;
  }
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
                                    ssh::Rest{ByteView(filler()).first(size)}});
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
  // What a peer in order does about keys.
  void answer(std::uint8_t number) {
    const bool is_server = peer_.role() == ssh::Role::server;
    switch (number) {
      case ssh::KexInitMessage::kNumber:
        if (!std::exchange(kexinit_sent_, true)) peer_.send_kexinit();
        if (!is_server) peer_.send_value();
        break;
      case 30: {
        const bool is_first = peer_.session_id().empty();
        peer_.send_reply(test::host_key());
        peer_.send(ssh::NewKeysMessage{});
        kexinit_sent_ = false;
        if (is_first && peer_.offer().ext_info) tell_extensions();
        break;
      }
      case 31:
        peer_.send(ssh::NewKeysMessage{});
        kexinit_sent_ = false;
        break;
      default:
        break;
    }
  }

  void tell_extensions() {
    Bytes extensions;
    Writer(extensions).text(ssh::InstanceRequest::kName).text("0");
    send(ssh::ExtInfoMessage{1, ssh::Rest{extensions}});
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
    if (channel->second.state == Channel::State::requested) channels_.erase(channel);
  }
  void consume(ssh::ChannelId id, std::size_t size) {
    const auto channel = channels_.find(id);
    if (channel == channels_.end()) return;
    const std::uint64_t n = std::min<std::uint64_t>(size, channel->second.held);
    channel->second.held -= n;
    session_.consumed(id, n);
  }
  void command(std::uint8_t choice) {
    const SecretBytes secret(std::string_view("secret"));
    switch (choice % 16) {
      case 0:
        return session_.request_rekey();
      case 1:
        return session_.send_global_request("name", {}, true, 1);
      case 2:
        return session_.reply_global(true, as_bytes("data"));
      case 3:
        return session_.try_none();
      case 4:
        return session_.try_password(secret);
      case 5:
        return session_.try_keyboard_interactive();
      case 6:
        return session_.try_public_key(test::user_key().public_key(), "ssh-ed25519", true);
      case 7:
        return session_.try_public_key(test::user_key().public_key(), "ssh-ed25519", false);
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

  // ---- bytes, time, events

  void pass(Duration span) {
    clock_.advance(span);
    session_.advance(clock_.now());
    take_events();
    require(session_.is_closed() || session_.next_deadline() > clock_.now(), "a deadline lies ahead");
  }
  void pump() {
    for (bool moved = true; moved;) {
      take_events();
      moved = false;
      if (const ByteView bytes = peer_.output(); !bytes.empty()) {
        std::ranges::copy(bytes, session_.prepare(bytes.size()).begin());
        session_.commit(bytes.size(), clock_.now());
        peer_.consume_output(bytes.size());
        moved = true;
      }
      take_events();
      if (!listens_ || session_.output().empty()) continue;
      if (honest_) peer_.receive(session_.output());
      session_.consume_output(session_.output().size(), clock_.now());
      while (honest_) {
        const auto payload = peer_.next();
        require(payload.has_value(), "what the machine sends can be read");
        if (!*payload) break;
        answer((**payload)[0]);
      }
      moved = true;
    }
    check();
  }
  void check() {
    require(session_.output().size() <= session_.output_limit() + kSlack, "the output is bounded");
    require(session_.channel_count() <= config_.limits.channels, "channels are bounded");
    require(session_.channel_count() == channels_.size(), "both count the same channels");
    require(session_.refused_attempts() <= config_.limits.auth_attempts, "attempts are bounded");
    std::uint64_t held = 0;
    for (const auto& [id, channel] : channels_) {
      const ssh::Limits& limits = config_.limits;
      require(channel.held <= std::max(limits.window_max, limits.window_initial), "a window has a ceiling");
      held += channel.held;
    }
    require(held <= config_.limits.window_budget, "all windows together stay in the budget");
  }
  void take_events() {
    while (auto event = session_.next_event()) {
      require(!ended_, "nothing comes after the end");
      std::visit([&](auto& e) { on(e); }, *event);
    }
  }

  Channel& channel(ssh::ChannelId id) {
    const auto found = channels_.find(id);
    require(found != channels_.end(), "an event names a channel that is there");
    return found->second;
  }
  template <class Event>
  void on(Event&) {}
  void on(ssh::HostKeyOffered&) { session_.accept_host_key(); }
  void on(ssh::HostSignatureWanted& e) {
    session_.host_signature(*test::host_key().sign(e.algorithm, e.message));
  }
  void on(ssh::AuthNext&) { command(static_cast<std::uint8_t>(3 + attempts_++ % 5)); }
  void on(ssh::UserSignatureWanted& e) {
    if (attempts_ % 2 != 0) return session_.skip_signature();
    session_.user_signature(*test::user_key().sign(e.algorithm, e.message));
  }
  void on(ssh::PromptsShown& e) { session_.answer_prompts(std::vector<SecretBytes>(e.prompts.size())); }
  void on(ssh::UserOffered& e) {
    const bool is_right = e.key == test::user_key().public_key();
    require(!e.signed_ || (is_right && e.user == "somebody"), "nobody signs as somebody else");
    require(!e.certificate ||
                (e.certificate->key() == e.key && e.certificate->kind() == crypto::Certificate::Kind::user),
            "a certificate is of the key, and for a user");
    is_right ? session_.accept_user() : session_.refuse_user();
  }
  void on(ssh::ChannelOpened& e) {
    require(channel(e.id).state == Channel::State::opening && !channel(e.id).closed, "it was being opened");
    channel(e.id).state = Channel::State::open;
  }
  void on(ssh::ChannelOpenFailed& e) {
    require(channel(e.id).state == Channel::State::opening, "what fails was being opened");
    channels_.erase(e.id);
  }
  void on(ssh::ChannelRequested& e) {
    const Channel asked{Channel::State::requested, e.type == "session"};
    require(channels_.emplace(e.id, asked).second, "an id is not given twice");
  }
  void on(ssh::ChannelData& e) {
    Channel& to = channel(e.id);
    require(to.state == Channel::State::open && !to.ended && !to.closed, "data is for an open channel");
    to.held += e.data.size();
  }
  void on(ssh::ChannelWritable& e) {
    require(session_.sendable(e.id) > 0, "a turn is worth something");
    session_.send(e.id, ByteView(filler()).first(5000));
  }
  void on(ssh::ChannelEnded& e) {
    require(!channel(e.id).ended && !channel(e.id).closed, "a channel ends once");
    channel(e.id).ended = true;
  }
  void on(ssh::ChannelClosed& e) {
    const Channel& closed = channel(e.id);
    require(closed.state != Channel::State::opening || closed.closed || session_.is_closed(),
            "what closes was open");
    require(!e.is_cut || !closed.ended, "what ended is not cut");
    channels_.erase(e.id);
  }
  void on(ssh::GlobalRequested& e) {
    if (e.want_reply && e.data.size() % 2 == 0) session_.reply_global(true, e.data);
  }
  void on(ssh::ListenRequested& e) {
    require(role_ == ssh::Role::server && e.host.size() <= 1024 && e.port <= 65535, "it is possible");
    if (e.host.size() % 2 == 0) session_.reply_listen(true, 40000);
  }
  void on(ssh::ChannelAsked& e) {
    Channel& on = channel(e.id);
    require(on.is_session && on.state == Channel::State::open && !on.closed, "an open session is asked");
    on.asked += e.want_reply;
    require(on.asked <= 32, "what waits is bounded");
  }
  void on(ssh::HostKeyProofWanted& e) {
    require(e.keys.size() == 1 && e.keys[0] == test::host_key().public_key(), "the key is ours");
    require(!std::exchange(proof_wanted_, true), "one proof at a time");
  }
  void on(ssh::InstanceTold&) {
    require(role_ == ssh::Role::server && session_.is_authenticated(), "a client that is logged in tells it");
    require(!std::exchange(instance_told_, true), "and once");
  }
  void on(ssh::Disconnected&) {
    require(channels_.empty(), "the end is the last event");
    ended_ = true;
  }

  ssh::Role role_;
  test::SeededRandom random_{11};
  test::ManualClock clock_;
  ssh::SessionConfig config_;
  ssh::Session session_;
  test::ScriptedPeer peer_;
  std::map<ssh::ChannelId, Channel> channels_;
  bool honest_ = true;         // about keys: the peer reads and answers
  bool kexinit_sent_ = false;  // by the peer, of the exchange in progress
  bool listens_ = true;
  bool ended_ = false;
  bool proof_wanted_ = false;
  bool instance_told_ = false;
  unsigned attempts_ = 0;
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

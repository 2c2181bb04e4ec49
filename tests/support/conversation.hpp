// SPDX-License-Identifier: Apache-2.0
// A conversation with one SSH machine, written down as a script:
//
//     run_everywhere(Role::client, [](Conversation& c) {
//       c.connect();
//       const ChannelId id = c.open();
//       c.expect_message<ChannelOpenMessage>([&](auto& m) { EXPECT_EQ(m.type, "direct-tcpip"); });
//       c.send(ChannelOpenFailureMessage{id, 2, "refused", ""});
//       c.expect_event<ChannelOpenFailed>();
//     });
//
// Every call is a step. A script names all that happens: a message or an event that it does not expect fails
// the test. run_everywhere() runs it once as it is, once with bytes delivered one at a time, and then once
// for each step with the link cut in front of it; whatever the script did, a machine whose link is gone must
// end in order (see end_of_everything). What follows a cut or a failure is skipped, so a script needs no
// checks of its own between steps, but must not rely on what skipped steps would have told it.
#pragma once

#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/time.hpp"
#include "proto/ssh/session.hpp"
#include "proto/ssh/wire/messages.hpp"
#include "tests/support/event_name.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/scripted_peer.hpp"
#include "tests/support/seeded_random.hpp"
#include "tests/support/test_keys.hpp"

namespace culvert::test {

/// What most scripts are run as.
inline constexpr ssh::Role kRoles[] = {ssh::Role::client, ssh::Role::server};

class Conversation {
 public:
  using Where = std::source_location;
  static constexpr std::size_t kNoCut = std::numeric_limits<std::size_t>::max();

  struct Options {
    ssh::SessionConfig machine;
    ScriptedPeer::Offer offer;
    std::string identification = "SSH-2.0-script";  ///< of the peer
    bool byte_by_byte = false;
    std::size_t cut_at = kNoCut;  ///< the step before which the link is cut
  };

  Conversation(ssh::Role role, Options options)
      : options_(std::move(options)),
        role_(role),
        random_(11),
        session(prepared(options_.machine, role), random_, clock.now()),
        peer(role == ssh::Role::client ? ssh::Role::server : ssh::Role::client, options_.offer, 12) {}
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  // ---- steps

  /// The next message from the machine. Views in it live until the check returns.
  template <class Message>
  void expect_message(const std::function<void(const Message&)>& check = {}, Where where = Where::current()) {
    if (!step(where)) return;
    const auto payload = next_message(where, fmt::format("message {}", Message::kNumber));
    if (!payload) return;
    const auto message = ssh::decode<Message>(*payload);
    if (!message)
      return failure(where, fmt::format("expected message {}, got {}", Message::kNumber, (*payload)[0]));
    checked(where, [&] { check ? check(*message) : void(); });
  }
  void expect_payload(const std::function<void(ByteView)>& check, Where where = Where::current()) {
    if (!step(where)) return;
    const auto payload = next_message(where, "a message");
    if (payload) checked(where, [&] { check(*payload); });
  }
  /// Nothing (more) came from the machine, neither a message nor an event.
  void expect_silence(Where where = Where::current()) {
    if (!step(where)) return;
    const auto payload = peer.next();
    if (!payload) return failure(where, payload.error().message);
    if (*payload) return failure(where, fmt::format("message {} out of silence", (**payload)[0]));
    if (!events_.empty()) failure(where, fmt::format("event {} out of silence", name_of(events_.front())));
  }
  template <class E>
  void expect_event(const std::function<void(E&)>& check = {}, Where where = Where::current()) {
    if (!step(where)) return;
    if (events_.empty())
      return failure(where, fmt::format("no event, expected {}", name_of(ssh::Event(dummy<E>()))));
    ssh::Event event = std::move(events_.front());
    events_.pop_front();
    auto* wanted = std::get_if<E>(&event);
    if (wanted == nullptr) {
      std::string got(name_of(event));
      if (const auto* end = std::get_if<ssh::Disconnected>(&event)) got += " (" + end->error.message + ")";
      return failure(where, fmt::format("event {}, expected {}", got, name_of(ssh::Event(dummy<E>()))));
    }
    checked(where, [&] { check ? check(*wanted) : void(); });
  }
  /// The machine ends by itself.
  void expect_end(Errc code, std::string_view text = {}, Where where = Where::current()) {
    expect_event<ssh::Disconnected>(
        [&](ssh::Disconnected& end) {
          EXPECT_EQ(static_cast<int>(end.error.code), static_cast<int>(code)) << end.error.message;
          EXPECT_NE(end.error.message.find(text), std::string::npos) << end.error.message;
        },
        where);
  }
  /// ... and says goodbye with this reason.
  void expect_goodbye(ssh::DisconnectReason reason, Where where = Where::current()) {
    expect_message<ssh::DisconnectMessage>(
        [&](const ssh::DisconnectMessage& m) { EXPECT_EQ(m.reason, static_cast<std::uint32_t>(reason)); },
        where);
  }
  /// Both, after what the protocol does not allow.
  void expect_protocol_error(std::string_view text, Where where = Where::current()) {
    expect_end(Errc::protocol, text, where);
    expect_goodbye(ssh::DisconnectReason::protocol_error, where);
  }

  template <class Message>
  void send(const Message& message, Where where = Where::current()) {
    send_raw(ssh::encoded(message), where);
  }
  /// A payload, sealed like any other.
  void send_raw(ByteView payload, Where where = Where::current()) {
    if (!step(where)) return;
    peer.send_raw(payload);
    pump();
  }
  /// Anything that the other end can do.
  void as_peer(const std::function<void(ScriptedPeer&)>& action, Where where = Where::current()) {
    if (!step(where)) return;
    action(peer);
    pump();
  }
  void command(const std::function<void(ssh::Session&)>& action, Where where = Where::current()) {
    if (!step(where)) return;
    checked(where, [&] { action(session); });
    pump();
  }
  void consumed(ssh::ChannelId id, std::size_t size, Where where = Where::current()) {
    const auto consume = [=, this](ssh::Session& s) {
      held_[id] -= size;
      if (held_[id] == 0) left_.erase(id);
      s.consumed(id, size);
    };
    command(consume, where);
  }
  void close(ssh::ChannelId id, Where where = Where::current()) {
    const auto give_up = [=, this](ssh::Session& s) {
      held_[id] = 0;
      left_.erase(id);
      s.close(id);
    };
    command(give_up, where);
  }
  void after(Duration span, Where where = Where::current()) {
    if (!step(where)) return;
    const Instant end = clock.now() + span;
    do {
      clock.advance_to(std::min(end, session.next_deadline()));
      session.advance(clock.now());
      pump();
    } while (clock.now() < end);
  }
  /// The link is gone: the last step of a script that wants it so.
  void cut() {
    if (stopped_) return;
    stopped_ = true;
    link_is_up_ = false;
    session.commit_end(clock.now());
    drain();
  }

  // ---- steps with names

  /// Our command to open a channel. The id of a machine that could not: UINT32_MAX.
  ssh::ChannelId open(Where where = Where::current()) {
    return open_by([](ssh::Session& s) { return s.open_direct_tcpip("target", 80, "127.0.0.1", 1234); },
                   where);
  }
  ssh::ChannelId open_by(const std::function<Result<ssh::ChannelId>(ssh::Session&)>& how,
                         Where where = Where::current()) {
    ssh::ChannelId id = UINT32_MAX;
    command(
        [&](ssh::Session& s) {
          const auto opened = how(s);
          ASSERT_TRUE(opened) << opened.error().message;
          id = *opened;
          EXPECT_TRUE(live_.insert(id).second) << "id " << id << " is in use";
        },
        where);
    return id;
  }
  void refuse(ssh::ChannelId id, Where where = Where::current()) {
    command(
        [&](ssh::Session& s) {
          s.refuse_channel(id, ssh::OpenFailure::connect_failed, "refused");
          live_.erase(id);
        },
        where);
  }
  /// A client whose value does not wait for the server's KEXINIT, up to the server's NEWKEYS.
  void exchange_up_to_new_keys(const std::string& identification = "SSH-2.0-script",
                               Where where = Where::current()) {
    as_peer([&](ScriptedPeer& p) { p.identify(identification); }, where);
    expect_message<ssh::KexInitMessage>({}, where);
    as_peer(
        [](ScriptedPeer& p) {
          p.send_kexinit();
          p.send_value();
        },
        where);
    answer_host_signature(where);
    expect_message<ssh::KexStringReplyMessage>({}, where);
    expect_message<ssh::NewKeysMessage>({}, where);
  }
  /// The peer's part of a key exchange and what it expects, from both KEXINITs to both NEWKEYS. The machine's
  /// KEXINIT may have come already: `asked_by_machine`.
  void exchange_keys(bool asked_by_machine = false, Where where = Where::current()) {
    const bool first = peer.session_id().empty();
    if (!asked_by_machine && !first) as_peer([](ScriptedPeer& p) { p.send_kexinit(); }, where);
    expect_message<ssh::KexInitMessage>({}, where);
    if (asked_by_machine || first) as_peer([](ScriptedPeer& p) { p.send_kexinit(); }, where);
    exchange_values(where);
  }
  /// ... when both KEXINITs are out.
  void exchange_values(Where where = Where::current()) {
    const bool first = peer.session_id().empty();
    if (role_ == ssh::Role::client) {
      expect_message<ssh::KexStringInitMessage>({}, where);
      as_peer([](ScriptedPeer& p) { p.send_reply(host_key()); }, where);
      if (first) {
        expect_event<ssh::HostKeyOffered>({}, where);
        command([](ssh::Session& s) { s.accept_host_key(); }, where);
      }
      send(ssh::NewKeysMessage{}, where);
    } else {
      as_peer([](ScriptedPeer& p) { p.send_value(); }, where);
      answer_host_signature(where);
      expect_message<ssh::KexStringReplyMessage>({}, where);
    }
    expect_message<ssh::NewKeysMessage>({}, where);
    if (role_ == ssh::Role::server) {
      send(ssh::NewKeysMessage{}, where);
      if (first && options_.offer.ext_info) expect_message<ssh::ExtInfoMessage>({}, where);
    }
    expect_event<ssh::KeysAgreed>({}, where);
  }
  void answer_host_signature(Where where = Where::current()) {
    Bytes signature;
    expect_event<ssh::HostSignatureWanted>(
        [&](ssh::HostSignatureWanted& e) { signature = host_key().sign(e.algorithm, e.message).value(); },
        where);
    command([&](ssh::Session& s) { s.host_signature(signature); }, where);
  }
  /// From nothing to the service: identification and the first keys, in one step.
  void exchange_first_keys(Where where = Where::current()) {
    in_one_step(where, [&] {
      as_peer([this](ScriptedPeer& p) { p.identify(options_.identification); }, where);
      exchange_keys(false, where);
    });
  }
  /// ... and on to where authentication is asked for. What the machine is left with: the event AuthNext, or
  /// nothing on a server.
  void start_authentication(Where where = Where::current()) {
    in_one_step(where, [&] {
      exchange_first_keys(where);
      if (role_ == ssh::Role::client) {
        expect_message<ssh::ServiceRequestMessage>({}, where);
        send(ssh::ServiceAcceptMessage{"ssh-userauth"}, where);
      } else {
        send(ssh::ServiceRequestMessage{"ssh-userauth"}, where);
        expect_message<ssh::ServiceAcceptMessage>({}, where);
      }
    });
  }
  /// ... and logged in, in one step.
  void connect(Where where = Where::current()) {
    in_one_step(where, [&] {
      start_authentication(where);
      if (role_ == ssh::Role::client) {
        expect_event<ssh::AuthNext>({}, where);
        command([](ssh::Session& s) { s.try_none(); }, where);
        expect_message<ssh::UserauthRequestMessage>({}, where);
        send(ssh::UserauthSuccessMessage{}, where);
      } else {
        send_raw(signed_request(), where);
        expect_event<ssh::UserOffered>({}, where);
        command([](ssh::Session& s) { s.accept_user(); }, where);
        expect_message<ssh::UserauthSuccessMessage>({}, where);
      }
      expect_event<ssh::Authenticated>({}, where);
    });
  }
  /// A channel that the machine opens and the peer confirms under number `theirs`, in one step.
  ssh::ChannelId opened(std::uint32_t theirs, std::uint32_t window = 1 << 20,
                        std::uint32_t max_packet = 32768, Where where = Where::current()) {
    ssh::ChannelId id = UINT32_MAX;
    in_one_step(where, [&] {
      id = open(where);
      expect_message<ssh::ChannelOpenMessage>({}, where);
      send(ssh::ChannelOpenConfirmationMessage{id, theirs, window, max_packet, ssh::Rest{}}, where);
      expect_event<ssh::ChannelOpened>({}, where);
    });
    return id;
  }

  /// A channel that the peer asks for under number `theirs` and the machine accepts, in one step.
  ssh::ChannelId accepted(std::uint32_t theirs, std::uint32_t window = 1 << 20,
                          std::uint32_t max_packet = 32768, Where where = Where::current()) {
    ssh::ChannelId id = UINT32_MAX;
    in_one_step(where, [&] {
      send_raw(open_request(theirs, window, max_packet), where);
      expect_event<ssh::ChannelRequested>([&](ssh::ChannelRequested& e) { id = e.id; }, where);
      command([&](ssh::Session& s) { s.accept_channel(id); }, where);
      expect_message<ssh::ChannelOpenConfirmationMessage>({}, where);
    });
    return id;
  }
  /// The peer's message for that, of the one type that fits its role.
  [[nodiscard]] Bytes open_request(std::uint32_t theirs, std::uint32_t window = 1 << 20,
                                   std::uint32_t max_packet = 32768) const {
    Bytes fields;
    ssh::encode_fields(fields, ssh::TcpipOpen{"target", 80, "127.0.0.1", 1234});
    const std::string_view type = role_ == ssh::Role::server ? "direct-tcpip" : "forwarded-tcpip";
    return ssh::encoded(ssh::ChannelOpenMessage{type, theirs, window, max_packet, ssh::Rest{fields}});
  }

  /// A client's request to log in with user_key(), signed.
  [[nodiscard]] Bytes signed_request(const crypto::PrivateKey& key = user_key(),
                                     std::string_view user = "somebody") {
    Bytes fields;
    ssh::encode_fields(fields,
                       ssh::PublicKeyMethod{true, "ssh-ed25519", key.public_key().blob(), ssh::Rest{}});
    Bytes payload =
        ssh::encoded(ssh::UserauthRequestMessage{user, "ssh-connection", "publickey", ssh::Rest{fields}});
    Bytes message;
    Writer(message).string(peer.session_id()).bytes(payload);
    Writer(payload).string(key.sign("ssh-ed25519", message).value());
    return payload;
  }

  // ---- for run_everywhere

  [[nodiscard]] std::size_t steps() const { return steps_; }
  [[nodiscard]] bool failed() const { return failed_; }
  /// Whether steps still happen.
  [[nodiscard]] bool goes_on() const { return !stopped_; }

  /// Closes every script. What must hold when the link is gone, wherever that was: the machine says that it
  /// ended, once and last; every channel was given back, once; nothing is left to wait for; and no command
  /// wakes it up again.
  void end_of_everything(Where where = Where::current()) {
    if (failed_) return;
    if (!stopped_) {
      expect_silence(where);
      cut();
    }
    if (failed_) return;
    EXPECT_EQ(ends_, 1) << "times that the machine said it ended";
    EXPECT_TRUE(live_.empty()) << live_.size() << " channels that nobody closed";
    EXPECT_EQ(session.channel_count(), 0u);
    EXPECT_TRUE(session.is_closed());
    EXPECT_TRUE(session.next_deadline() == kNever);
    give_every_command();
    const auto event = session.next_event();
    EXPECT_FALSE(event) << "an event after the end: " << name_of(*event);
    EXPECT_TRUE(session.next_deadline() == kNever);
    EXPECT_EQ(session.channel_count(), 0u);
  }

 private:
  Options options_;
  ssh::Role role_;
  SeededRandom random_;

 public:
  ManualClock clock;
  ssh::Session session;
  ScriptedPeer peer;

 private:
  static ssh::SessionConfig prepared(ssh::SessionConfig config, ssh::Role role) {
    config.role = role;
    if (role == ssh::Role::client) config.user = "somebody";
    if (role == ssh::Role::server && config.host_keys.empty()) config.host_keys = {host_key().public_key()};
    return config;
  }

  template <class E>
  static E dummy() {
    if constexpr (std::is_same_v<E, ssh::HostKeyOffered>) {
      return {host_key().public_key(), {}, {}, {}};
    } else if constexpr (std::is_same_v<E, ssh::HostSignatureWanted> ||
                         std::is_same_v<E, ssh::UserSignatureWanted>) {
      return {host_key().public_key(), {}, {}};
    } else if constexpr (std::is_same_v<E, ssh::UserOffered>) {
      return {{}, host_key().public_key(), false};
    } else {
      return {};
    }
  }

  bool step(Where where) {
    if (stopped_) return false;
    if (depth_ > 0) return true;
    where_ = where;
    if (steps_++ != options_.cut_at) return true;
    cut();
    return false;
  }
  template <class Steps>
  void in_one_step(Where where, Steps steps) {
    if (!step(where)) return;
    ++depth_;
    steps();
    --depth_;
  }
  void failure(Where where, const std::string& what) {
    stopped_ = failed_ = true;
    ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line())) << what << how();
  }
  [[nodiscard]] std::string how() const {
    std::string how = options_.byte_by_byte ? " (byte by byte)" : "";
    if (session.is_closed()) how += " (the machine has ended)";
    return how;
  }
  template <class Check>
  void checked(Where where, Check check) {
    const bool before = ::testing::Test::HasFailure();
    check();
    if (before || !::testing::Test::HasFailure()) return;
    stopped_ = failed_ = true;
    ADD_FAILURE_AT(where.file_name(), static_cast<int>(where.line())) << "... in this step" << how();
  }

  std::optional<Bytes> next_message(Where where, const std::string& expected) {
    auto payload = peer.next();
    if (!payload) {
      failure(where, payload.error().message);
      return std::nullopt;
    }
    if (!*payload) {
      std::string what = fmt::format("nothing came, expected {}", expected);
      if (!events_.empty()) what += fmt::format("; there is an event {}", name_of(events_.front()));
      failure(where, what);
      return std::nullopt;
    }
    keep_to_the_exchange((**payload)[0], where);
    return std::move(*payload);
  }

  // RFC 4253 section 7.1, and OpenSSH 10.4 cuts off whoever does otherwise.
  void keep_to_the_exchange(std::uint8_t number, Where where) {
    if (in_exchange_ && (number > 49 || (number >= 5 && number <= 7)))
      failure(where, fmt::format("message {} between the machine's KEXINIT and its NEWKEYS", number));
    if (number == ssh::KexInitMessage::kNumber) in_exchange_ = true;
    if (number == ssh::NewKeysMessage::kNumber) in_exchange_ = false;
  }

  // Moves all bytes that there are, and takes all events.
  void pump() {
    for (bool moved = true; moved;) {
      drain();
      moved = deliver_to_peer();
      moved = deliver_to_machine() || moved;
    }
  }
  bool deliver_to_peer() {
    const ByteView output = session.output();
    if (output.empty()) return false;
    const std::size_t size = options_.byte_by_byte ? 1 : output.size();
    if (link_is_up_) peer.receive(output.first(size));
    session.consume_output(size, clock.now());
    return true;
  }
  bool deliver_to_machine() {
    const ByteView output = peer.output();
    if (output.empty()) return false;
    const std::size_t size = options_.byte_by_byte ? 1 : output.size();
    const MutableBytes room = session.prepare(size);
    std::copy_n(output.begin(), size, room.begin());
    peer.consume_output(size);
    session.commit(size, clock.now());
    return true;
  }
  void drain() {
    while (auto event = session.next_event()) {
      EXPECT_EQ(ends_, 0) << "event " << name_of(*event) << " behind Disconnected";
      keep_count(*event);
      events_.push_back(std::move(*event));
    }
    EXPECT_EQ(session.channel_count(), live_.size() + left_.size());
  }
  void keep_count(ssh::Event& event) {
    if (auto* requested = std::get_if<ssh::ChannelRequested>(&event))
      EXPECT_TRUE(live_.insert(requested->id).second) << "id " << requested->id << " is in use";
    if (auto* refused = std::get_if<ssh::ChannelOpenFailed>(&event))
      EXPECT_EQ(live_.erase(refused->id), 1u) << "id " << refused->id << " is not in use";
    if (auto* closed = std::get_if<ssh::ChannelClosed>(&event)) {
      EXPECT_EQ(live_.erase(closed->id), 1u) << "id " << closed->id << " is not in use";
      if (held_[closed->id] > 0 && !session.is_closed()) left_.insert(closed->id);
    }
    if (auto* data = std::get_if<ssh::ChannelData>(&event)) {  // the view ends with the next bytes
      held_[data->id] += data->data.size();
      data_.push_back(copy_of(data->data));
      data->data = data_.back();
    }
    if (std::holds_alternative<ssh::Disconnected>(event)) {
      ++ends_;
      left_.clear();
    }
  }

  void give_every_command() {
    const SecretBytes secret(std::string_view("secret"));
    session.accept_host_key();
    session.reject_host_key("no");
    session.host_signature({});
    session.try_none();
    session.try_public_key(user_key().public_key(), "ssh-ed25519", true);
    session.try_public_key(user_key().public_key(), "ssh-ed25519", false);
    session.user_signature({});
    session.skip_signature();
    session.try_password(secret);
    session.try_keyboard_interactive();
    session.answer_prompts({});
    session.accept_user();
    session.refuse_user();
    EXPECT_FALSE(session.open_direct_tcpip("target", 80, "127.0.0.1", 1234));
    EXPECT_FALSE(session.open_forwarded_streamlocal("/run/socket"));
    session.accept_channel(0);
    session.refuse_channel(0, ssh::OpenFailure::connect_failed, "");
    EXPECT_EQ(session.sendable(0), 0u);
    EXPECT_EQ(session.send(0, as_bytes("data")), 0u);
    session.consumed(0, 1);
    session.send_eof(0);
    session.close(0);
    session.send_global_request("name", {}, true, 1);
    session.reply_global(true, {});
    session.reply_listen(true, 0);
    session.reply_channel(0, true);
    session.send_exit_status(0, 0);
    session.announce_host_keys();
    session.host_key_proof({});
    session.request_rekey();
    session.disconnect("again");
    session.advance(clock.now() + std::chrono::hours(24));
    session.commit_end(clock.now());
  }

  std::deque<ssh::Event> events_;
  std::deque<Bytes> data_;                      // what ChannelData events show
  std::set<ssh::ChannelId> live_;               // channels that the machine has to give back
  std::map<ssh::ChannelId, std::size_t> held_;  // bytes that were given out and not consumed
  std::set<ssh::ChannelId> left_;               // closed by the peer, and some are held
  int ends_ = 0;
  std::size_t steps_ = 0;
  int depth_ = 0;
  bool stopped_ = false;  // steps are skipped from here on
  bool failed_ = false;
  bool link_is_up_ = true;
  bool in_exchange_ = true;  // the machine's first KEXINIT is out from the start
  Where where_;
};

using Script = std::function<void(Conversation&)>;

/// Once, and to the end.
inline void run(ssh::Role role, const Script& script, Conversation::Options options = {}) {
  Conversation conversation(role, std::move(options));
  script(conversation);
  conversation.end_of_everything();
}

/// As the head of this file says.
inline void run_everywhere(ssh::Role role, const Script& script, const Conversation::Options& options = {}) {
  Conversation whole(role, options);
  script(whole);
  whole.end_of_everything();
  if (::testing::Test::HasFailure()) return;

  Conversation::Options slow = options;
  slow.byte_by_byte = true;
  run(role, script, slow);
  for (std::size_t i = 0; i < whole.steps() && !::testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE(fmt::format("cut before step {}", i));
    Conversation::Options cut = options;
    cut.cut_at = i;
    run(role, script, cut);
  }
}

}  // namespace culvert::test

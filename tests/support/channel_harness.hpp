// SPDX-License-Identifier: Apache-2.0
// Channels between two honest machines under any sequence of commands, deliveries and pauses: the sequence is
// the input of a fuzz harness (see step()). A model of all streams says what must come out at the other end.
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <string>
#include <utility>

#include "base/wire.hpp"
#include "proto/ssh/session.hpp"
#include "tests/support/fuzz_input.hpp"
#include "tests/support/seeded_random.hpp"
#include "tests/support/test_keys.hpp"

namespace culvert::test {

/// Limits that are met soon, by the first byte of the input.
[[nodiscard]] inline ssh::SessionConfig tight_config(std::uint8_t choice) {
  ssh::SessionConfig config;
  if (choice & 1) {
    config.limits.channels = 4;
    config.limits.window_min = 512;
    config.limits.window_budget = 4 * 512 + (choice & 2 ? 0 : 20000);
    config.limits.window_initial = 2048;
    config.limits.window_max = 8192;
  }
  if (choice & 4) config.limits.output_min = config.limits.output_max = 3000;
  if (choice & 8) config.rekey.packets = 60;
  if (choice & 16) config.timing.keepalive_interval = Duration::zero();
  return config;
}

inline constexpr std::size_t kMostStreams = 300;
inline constexpr std::size_t kMostRekeys = 6;     // each costs as much as hundreds of other steps
inline constexpr std::size_t kMostRequests = 64;  // global requests without an answer
inline constexpr Duration kMostTime =
    std::chrono::seconds(100);                     // keeps the probes of the path below the limit too
inline constexpr std::size_t kPeriod = 61 * 1021;  // of what is sent; no power of two, so that a shift shows

// `size` bytes of the stream that begins at `start`.
inline ByteView content(std::uint64_t start, std::size_t size) {
  static const Bytes bytes = [] {
    Bytes filled(2 * kPeriod);
    SeededRandom(5).fill(MutableBytes(filled).first(kPeriod));
    std::memcpy(filled.data() + kPeriod, filled.data(), kPeriod);
    return filled;
  }();
  return ByteView(bytes).subspan(start % kPeriod, size);
}

/// A channel, as seen from one of its ends.
struct End {
  enum class State : std::uint8_t { none, opening, requested, open, left, gone };  // left: by the peer alone
  State state = State::none;
  ssh::ChannelId id = 0;
  bool closed = false;   // we gave it up
  std::size_t owed = 0;  // what the last send() did not take
  std::uint64_t sent = 0, received = 0, consumed = 0;
  bool eof_sent = false, ended = false;
  [[nodiscard]] bool live() const { return state != State::none && state != State::gone; }
};
struct Stream {
  std::uint32_t serial;
  End ends[2] = {};
  bool refused = false;
};

/// `Pair`: two joined machines as in SessionPair, logged in and at rest.
template <class Pair>
class ChannelHarness {
 public:
  ChannelHarness(Pair& pair, const ssh::Limits& limits) : pair_(pair), limits_(limits) {}

  void step(FuzzInput& input) {
    happen(input);
    check();
  }

  // All that was taken arrives, all that was closed is closed, both ends agree.
  void finish() {
    drain();
    for (Stream& stream : streams_) {
      for (int who : {0, 1}) {
        const End& here = stream.ends[who];
        const End& there = stream.ends[1 - who];
        if (here.state != End::State::open || !there.live()) continue;
        require(here.owed == 0, "who wants to send gets a turn");
        require(here.sent == there.received && here.eof_sent == there.ended, "nothing is lost");
        if (there.state != End::State::open || here.eof_sent || here.closed || there.closed || waits(who))
          continue;
        // Less than half a window is never held back, so this much is there when all was consumed.
        require(side(who).sendable(here.id) >= std::min(limits_.window_min / 2, limits_.output_min),
                "no credit gets lost");
      }
    }
    for (std::size_t i = 0; i < streams_.size(); ++i) close(static_cast<int>(i % 2), &streams_[i]);
    drain();
    for (int who : {0, 1}) require(ended_[who] || side(who).channel_count() == 0, "what is closed is gone");
    end(0);
    drain();
    for (int who : {0, 1}) require(ended_[who] && !side(who).next_event(), "the end is the last event");
  }

 private:
  void happen(FuzzInput& input) {
    const std::uint8_t code = input.byte();
    const int who = code & 1;
    const std::uint8_t argument = input.byte();
    switch ((code >> 1) % 16) {
      case 0:
        return open(who, argument);
      case 1:
        return answer_open(who, argument % 4 != 0);
      case 2:
      case 3:
        return send(who, pick(who, argument), size_of(input.byte()));
      case 4:
        return consume(who, pick(who, argument), size_of(input.byte()));
      case 5:
        return eof(who, pick(who, argument));
      case 6:
        return close(who, pick(who, argument));
      case 7:
        return global_request(who, argument);
      case 8:
        return reply(who, argument);
      case 9:
        if (rekeys_++ < kMostRekeys) side(who).request_rekey();
        return;
      case 10:
        return deliver(who, argument + std::size_t{1}), take_events(1 - who);
      case 11:
        return deliver(who, std::size_t{argument} << 8), take_events(1 - who);
      case 12:
        return deliver(who, argument);  // and its events wait
      case 13:
        return static_cast<void>(take_event(who));
      case 14:
        return pass(std::chrono::milliseconds(argument * argument / 8));
      default:
        if (argument == 0xEE) return end(who);
        while (move()) check();
    }
  }

  void check() {
    for (int who : {0, 1}) {
      std::uint64_t kept = 0;
      std::size_t live = 0;
      for (Stream& stream : streams_) {
        const End& here = stream.ends[who];
        if (!here.live()) continue;
        ++live;
        if (here.closed) continue;  // what still comes is thrown away
        const std::uint64_t given = stream.ends[1 - who].sent - here.consumed;
        require(given <= std::max(limits_.window_max, limits_.window_initial), "a window has a ceiling");
        kept += given;
      }
      require(kept <= limits_.window_budget, "all windows together stay in the budget");
      require(live == side(who).channel_count() || waits(who), "both know the same channels");
    }
  }

  static std::size_t size_of(std::uint8_t code) { return (std::size_t{1} << code % 16) + code / 16; }

  auto& side(int who) { return who == 0 ? pair_.client.session : pair_.server.session; }
  Stream* pick(int who, std::uint8_t which) {
    std::size_t live = 0;
    for (Stream& stream : streams_) live += stream.ends[who].live();
    if (live == 0) return nullptr;
    std::size_t skip = which % live;
    for (Stream& stream : streams_)
      if (stream.ends[who].live() && skip-- == 0) return &stream;
    return nullptr;
  }
  Stream& stream_of(int who, ssh::ChannelId id) {
    for (Stream& stream : streams_)
      if (stream.ends[who].live() && stream.ends[who].id == id) return stream;
    require(false, "an event names a channel that is there");
    std::abort();
  }
  std::uint64_t start_of(const Stream& stream, int sender) const {
    return std::uint64_t{stream.serial} * 7919 + static_cast<unsigned>(sender) * 104729;
  }

  // ---- commands

  void open(int who, std::uint8_t choice) {
    if (streams_.size() == kMostStreams) return;
    const auto serial = static_cast<std::uint32_t>(streams_.size());
    const auto id = who == 0          ? side(who).open_direct_tcpip("target", serial, "origin", 1)
                    : choice % 4 == 3 ? side(who).open_forwarded_streamlocal(std::to_string(serial))
                                      : side(who).open_forwarded_tcpip("target", serial, "origin", 1);
    if (!id) return;
    streams_.emplace_back(Stream{serial}).ends[who] = {.state = End::State::opening, .id = *id};
  }
  void answer_open(int who, bool accept) {
    for (Stream& stream : streams_) {
      End& here = stream.ends[who];
      if (here.state != End::State::requested) continue;
      if (!accept) return refuse(who, stream);
      side(who).accept_channel(here.id);
      here.state = End::State::open;
      return;
    }
  }
  void refuse(int who, Stream& stream) {
    if (waits(who)) return;
    side(who).refuse_channel(stream.ends[who].id, ssh::OpenFailure::connect_failed, "refused");
    stream.ends[who].state = End::State::gone;
    stream.refused = true;
  }
  void send(int who, Stream* stream, std::size_t size) {
    if (stream == nullptr) return;
    End& here = stream->ends[who];
    const std::size_t promised = side(who).sendable(here.id);
    const std::size_t taken = side(who).send(here.id, content(start_of(*stream, who) + here.sent, size));
    const bool may = here.state == End::State::open && !here.eof_sent && !here.closed && !waits(who);
    require(taken <= size, "no more is taken than there is");
    require(may || waits(who) || taken == 0, "only an open channel sends");
    require(taken >= std::min(promised, size), "what is promised is taken");
    here.sent += taken;
    here.owed = may ? size - taken : 0;
  }
  void consume(int who, Stream* stream, std::size_t size) {
    if (stream == nullptr) return;
    End& here = stream->ends[who];
    const std::uint64_t n = std::min<std::uint64_t>(size, here.received - here.consumed);
    here.consumed += n;
    side(who).consumed(here.id, n);
    if (here.state == End::State::left && here.consumed == here.received) here.state = End::State::gone;
  }
  void eof(int who, Stream* stream) {
    if (stream == nullptr || stream->ends[who].state != End::State::open) return;
    side(who).send_eof(stream->ends[who].id);
    stream->ends[who].eof_sent = true;
    stream->ends[who].owed = 0;
  }
  void close(int who, Stream* stream) {
    if (stream == nullptr || !stream->ends[who].live()) return;
    End& here = stream->ends[who];
    if (here.state == End::State::requested) return refuse(who, *stream);
    side(who).close(here.id);
    if (here.state == End::State::left) here.state = End::State::gone;
    here.closed = true;
    here.owed = 0;
  }
  enum class Ask : std::uint8_t { other, too, listen, any_port, path, cancel, no_more_sessions, proof };
  void global_request(int who, std::uint8_t choice) {
    if (asked_[who].size() >= kMostRequests || listens_told_.size() + listens_to_answer_ >= kMostRequests)
      return;
    const bool want_reply = choice % 2 != 0;
    const Ask ask = who == 0 ? static_cast<Ask>(choice / 2 % 8) : Ask::other;
    ++token_;
    Bytes data;
    std::string_view name = "name";
    switch (ask) {
      case Ask::other:
      case Ask::too:
        data = {static_cast<std::uint8_t>(token_)};
        told_[who].push_back(data[0]);
        break;
      case Ask::listen:
      case Ask::any_port:
      case Ask::cancel: {
        const std::uint32_t port = ask == Ask::any_port ? 0 : choice;
        name = ask == Ask::cancel ? "cancel-tcpip-forward" : "tcpip-forward";
        Writer(data).text("").u32(port);
        listens_told_.push_back({ask == Ask::cancel, false, "", port});
        break;
      }
      case Ask::path:
        name = "streamlocal-forward@openssh.com";
        Writer(data).text("/run/socket");
        listens_told_.push_back({false, true, "/run/socket", 0});
        break;
      case Ask::no_more_sessions:
        name = "no-more-sessions@openssh.com";
        break;
      case Ask::proof:  // to a Mux alone it means nothing
        if constexpr (!kWholeSessions) return;
        name = "hostkeys-prove-00@openssh.com";
        Writer(data).string(host_key().public_key().blob());
        break;
    }
    side(who).send_global_request(name, data, want_reply, token_);
    if (want_reply) asked_[who].push_back({token_, ask});
  }
  void reply(int who, std::uint8_t choice) {
    if (choice % 3 == 0 && to_answer_[who] > 0) {
      --to_answer_[who];
      side(who).reply_global(true, {});
    } else if (choice % 3 == 1 && who == 1 && listens_to_answer_ > 0) {
      --listens_to_answer_;
      side(who).reply_listen(choice % 2 != 0, 40000);
    } else if (choice % 3 == 2 && who == 1 && proof_to_answer_) {
      proof_to_answer_ = false;
      if constexpr (kWholeSessions) side(who).host_key_proof(std::vector<Bytes>(choice % 2, Bytes{choice}));
    }
  }
  void pass(Duration span) {
    if (passed_ + span > kMostTime) return;
    passed_ += span;
    pair_.clock.advance(span);
    for (int who : {0, 1}) side(who).advance(pair_.clock.now());
  }
  void end(int who) {
    side(who).disconnect("enough");
    all_is_kept_ = false;
  }

  // ---- bytes and events

  void deliver(int from, std::size_t most) {
    const ByteView piece = side(from).output().first(std::min(most, side(from).output().size()));
    const std::size_t size = piece.size();
    if (size == 0) return;
    std::ranges::copy(piece, side(1 - from).prepare(size).begin());
    side(1 - from).commit(size, pair_.clock.now());
    side(from).consume_output(size, pair_.clock.now());
  }
  bool take_event(int who) {
    auto event = side(who).next_event();
    if (!event) return false;
    require(!ended_[who], "nothing comes after the end");
    std::visit([&](auto& e) { on(who, e); }, *event);
    return true;
  }
  void take_events(int who) {
    while (take_event(who)) {
    }
  }
  // Everything that waits goes on.
  bool move() {
    bool moved = false;
    for (int who : {0, 1}) {
      while (take_event(who)) moved = true;
      moved = !side(who).output().empty() || moved;
      deliver(who, SIZE_MAX);
      if (ended_[who] && !std::exchange(cut_[1 - who], true)) {
        side(1 - who).commit_end(pair_.clock.now());
        moved = true;
      }
    }
    return moved;
  }
  void drain() {
    int turns = 0;
    for (bool moved = true; moved; moved = move()) {
      require(++turns < 100000, "everything comes to rest");
      for (int who : {0, 1}) {
        while (to_answer_[who] > 0) reply(who, 0);
        while (who == 1 && listens_to_answer_ > 0) reply(who, 1);
        reply(who, 5);
        for (Stream& stream : streams_) {
          if (stream.ends[who].state == End::State::requested) answer_open(who, true);
          if (stream.ends[who].live()) consume(who, &stream, SIZE_MAX);
        }
      }
      check();
    }
    for (int who : {0, 1}) require(ended_[who] || asked_[who].empty(), "every request is answered");
  }
  // The machine has ended, and its last events wait.
  bool waits(int who) { return side(who).is_closed(); }

  template <class Event>
  void on(int, Event&) {
    require(false, "only events that belong here");
  }
  void on(int, ssh::KeysAgreed&) {}
  void on(int who, ssh::HostSignatureWanted& e) {
    if constexpr (requires { side(who).host_signature(ByteView()); })
      side(who).host_signature(*host_key().sign(e.algorithm, e.message));
  }
  void on(int who, ssh::ChannelOpened& e) {
    End& here = stream_of(who, e.id).ends[who];
    require(here.state == End::State::opening && !here.closed, "what opens was being opened");
    here.state = End::State::open;
  }
  void on(int who, ssh::ChannelOpenFailed& e) {
    Stream& stream = stream_of(who, e.id);
    require(stream.ends[who].state == End::State::opening, "what fails was being opened");
    require(stream.refused || waits(who) || e.reason == ssh::OpenFailure::resource_shortage, "for a reason");
    stream.ends[who].state = End::State::gone;
  }
  void on(int who, ssh::ChannelRequested& e) {
    const bool has_path = e.type == "forwarded-streamlocal@openssh.com";
    const std::size_t serial = has_path ? std::stoul(e.host) : e.port;
    require(serial < streams_.size() && streams_[serial].ends[who].state == End::State::none,
            "it was asked for");
    streams_[serial].ends[who] = {.state = End::State::requested, .id = e.id};
  }
  void on(int who, ssh::ChannelData& e) {
    Stream& stream = stream_of(who, e.id);
    End& here = stream.ends[who];
    require(here.state == End::State::open && !here.ended && !here.closed, "data is for an open channel");
    require(std::ranges::equal(e.data, content(start_of(stream, 1 - who) + here.received, e.data.size())),
            "what comes is what was sent");
    here.received += e.data.size();
    require(here.received <= stream.ends[1 - who].sent, "no more than was sent");
  }
  void on(int who, ssh::ChannelWritable& e) {
    Stream& stream = stream_of(who, e.id);
    require(stream.ends[who].owed > 0, "only who wants to send gets a turn");
    require(side(who).sendable(e.id) > 0, "a turn is worth something");
    send(who, &stream, stream.ends[who].owed);
  }
  void on(int who, ssh::ChannelEnded& e) {
    Stream& stream = stream_of(who, e.id);
    End& here = stream.ends[who];
    require(here.state == End::State::open && !here.closed && !here.ended, "it ends once");
    require(stream.ends[1 - who].eof_sent && here.received == stream.ends[1 - who].sent, "after all data");
    here.ended = true;
  }
  void on(int who, ssh::ChannelClosed& e) {
    Stream& stream = stream_of(who, e.id);
    End& here = stream.ends[who];
    const End& there = stream.ends[1 - who];
    if (!waits(who)) {
      require(here.closed || there.closed, "somebody closed it");
      require(here.closed || here.received == there.sent, "after all data");
    }
    require(!e.is_cut || !here.ended, "what ended is not cut");
    const bool has_left = !waits(who) && !here.closed && here.consumed < here.received;
    here.state = has_left ? End::State::left : End::State::gone;
    here.owed = 0;
  }
  void on(int who, ssh::GlobalRequested& e) {
    require(e.data.size() == 1 && !told_[1 - who].empty() && e.data[0] == told_[1 - who].front(), "in order");
    told_[1 - who].pop_front();
    if (e.want_reply) ++to_answer_[who];
  }
  void on(int who, ssh::GlobalReply& e) {
    require(!asked_[who].empty() && asked_[who].front().token == e.token, "answers come in order");
    const Ask ask = asked_[who].front().ask;
    if (ask == Ask::proof) {
      require(e.success != e.data.empty(), "a proof has a signature");
    } else {
      require(e.data.size() == (ask == Ask::any_port && e.success ? 4u : 0u), "the port is told who asked");
    }
    asked_[who].pop_front();
  }
  void on(int who, ssh::ListenRequested& e) {
    require(who == 1 && !listens_told_.empty(), "somebody asked for a listener");
    const ssh::ListenRequested& asked = listens_told_.front();
    require(e.cancel == asked.cancel && e.is_path == asked.is_path && e.host == asked.host &&
                e.port == asked.port,
            "for this one");
    listens_told_.pop_front();
    ++listens_to_answer_;
  }
  void on(int who, ssh::HostKeyProofWanted& e) {
    require(who == 1 && e.keys.size() == 1 && e.messages.size() == 1 && e.algorithms.size() == 1,
            "one key was asked for");
    require(!std::exchange(proof_to_answer_, true), "one proof at a time");
  }
  void on(int who, ssh::Disconnected& e) {
    const bool peer_was_late = e.error.code == Errc::timed_out && passed_ > Duration::zero();
    require(peer_was_late || !all_is_kept_, e.error.message.c_str());
    all_is_kept_ = false;
    ended_[who] = true;
    for (Stream& stream : streams_) {
      End& here = stream.ends[who];
      if (here.state == End::State::left)
        here.state = End::State::gone;  // its end was told when the peer left
      require(!here.live(), "every channel was given back");
    }
  }

  static constexpr bool kWholeSessions =
      requires(Pair& pair) { pair.server.session.host_key_proof(std::span<const Bytes>()); };

  Pair& pair_;
  ssh::Limits limits_;
  std::deque<Stream> streams_;  // they do not move
  bool all_is_kept_ = true;     // nothing happened yet that may end a session
  bool ended_[2] = {};
  bool cut_[2] = {};  // the end of the link was told
  std::size_t rekeys_ = 0;
  Duration passed_{};
  std::uint64_t token_ = 0;
  std::deque<std::uint8_t> told_[2];
  struct Asked {
    std::uint64_t token;
    Ask ask;
  };
  std::deque<Asked> asked_[2];
  std::size_t to_answer_[2] = {};
  // Of the server.
  std::deque<ssh::ListenRequested> listens_told_;
  std::size_t listens_to_answer_ = 0;
  bool proof_to_answer_ = false;
};

}  // namespace culvert::test

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/time.hpp"
#include "crypto/random.hpp"
#include "proto/gateway/epoch.hpp"
#include "proto/gateway/messages.hpp"

namespace culvert::gateway {

enum class Dialect : std::uint8_t { pcp, nat_pmp };

struct ClientOptions {
  Dialect dialect = Dialect::pcp;
  IpAddress here;                 ///< what the router sees us come from (PCP says it)
  std::uint32_t lifetime = 7200;  ///< seconds to ask for, at least 1
};

/// The port is open; said again for each renewal, and when the router's address outside has changed.
struct Granted {
  std::size_t mapping;
  IpAddress outside_address;
  std::uint16_t outside;
  Duration lifetime;
  bool operator==(const Granted&) const = default;
};
/// The router answered with an error. It is asked again after `pause`. What it had granted stays until Lost.
struct Refused {
  std::size_t mapping;
  Status status;
  Duration pause;
  bool operator==(const Refused&) const = default;
};
/// Nobody renewed it: it is closed now. It is asked for again.
struct Lost {
  std::size_t mapping;
  bool operator==(const Lost&) const = default;
};
/// After remove(): the router has answered. What it does not end (an error in `status`) stays open until its
/// time, or for `left`, if it could be cut short.
struct Removed {
  std::size_t mapping;
  Status status = Status::success;
  Duration left = Duration::zero();
  bool operator==(const Removed&) const = default;
};
/// The router has forgotten its mappings; all are being asked for again. At most every 30 seconds: what comes
/// sooner is asked for then.
struct Restarted {
  bool operator==(const Restarted&) const = default;
};
/// The router speaks another dialect. The machine is silent from now on.
struct WrongDialect {
  bool operator==(const WrongDialect&) const = default;
};
using Event = std::variant<Granted, Refused, Lost, Removed, Restarted, WrongDialect>;

/// Keeps ports of one router open: asks, asks again while there is no answer, renews (RFC 6887
/// sections 8.1.1, 11.2.1; RFC 6886 sections 3.1, 3.3), and starts over when the router did.
///
/// Datagrams in: receive(), announced(). What was understood: next_event(). Datagrams out: next_output().
/// Time: advance(), at next_deadline() and behind each of the other calls; events and output come from it.
class Client {
 public:
  /// `random` must outlive it.
  Client(const ClientOptions& options, crypto::Random& random);

  /// From now on `inside` of this machine is wanted open, as `outside` if that can be had. What was opened
  /// once, also by another run, is had again with the same `nonce` alone. The number of the mapping in
  /// events.
  std::size_t add(Protocol protocol, std::uint16_t inside, std::uint16_t outside, const Nonce& nonce,
                  Instant now);
  /// It should end. Once; there is no event but Removed after that.
  void remove(std::size_t mapping, Instant now);
  /// All are asked for again now: the way to the router may have changed.
  void refresh(Instant now);

  /// One datagram from the router's port; anything else in it than a fitting answer changes nothing.
  void receive(ByteView datagram, Instant now);
  /// One that came by multicast, from the router's address and port: it is heard by all of its clients at
  /// once, who must not all answer at once.
  void announced(ByteView datagram, Instant now);

  void advance(Instant now);
  [[nodiscard]] Instant next_deadline() const;
  [[nodiscard]] std::optional<Event> next_event();
  [[nodiscard]] std::optional<Bytes> next_output();

  /// Whether the router has said anything at all to what it was asked.
  [[nodiscard]] bool was_answered() const { return answered_; }

 private:
  /// A question and when it is asked (again).
  struct Question {
    enum class State : std::uint8_t {
      asking,    ///< at `due`; it has been asked `tries` times
      answered,  ///< renewed at `due`, `tries` times so far
      refused,   ///< asked again at `due`
      over,
    };
    State state = State::over;
    Instant due = kNever;
    Instant sent = Instant::min();
    Duration pause = Duration::zero();  // before the next try
    unsigned tries = 0;
  };
  struct Open {
    IpAddress address;
    std::uint16_t outside;
    Instant since, until;
  };
  struct Kept {
    MapRequest request;
    Question question;
    std::optional<Open> open;
    bool is_leaving = false;
    bool is_cut_short = false;  // leaving: since the router does not end it, it is to run out
  };

  [[nodiscard]] static bool is_address(const Answer& answer) {
    return answer.about == Answer::About::address;
  }
  [[nodiscard]] std::size_t asked_for(const Answer& answer) const;
  void take_address(const Answer& answer, Instant now);
  void take_mapping(std::size_t index, const Answer& answer, Instant now);
  void grant(std::size_t index, const Answer& answer, Instant now);
  void refuse(std::size_t index, const Answer& answer, Instant now);
  void check_epoch(const Answer& answer, Duration most_delay, Instant now);
  void leave(std::size_t index, const Removed& how);
  void ask(Question& question, Instant when) const;
  void ask_again(Question& question, Instant now);
  void plan_renewal(Kept& kept, Instant now);
  void send_mapping(Kept& kept, Instant now);
  [[nodiscard]] bool waits_for_address() const;
  [[nodiscard]] Instant turn(Instant now) const;
  [[nodiscard]] Duration random_part(Duration of);
  [[nodiscard]] bool is_pcp() const { return options_.dialect == Dialect::pcp; }

  const ClientOptions options_;
  crypto::Random& random_;
  Epoch epoch_;
  Instant next_round_{};  // of asking for all again
  std::vector<Kept> kept_;
  // NAT-PMP: the router's address outside, without which no mapping is of use.
  Question address_question_;
  std::optional<IpAddress> address_;
  Instant address_at_ = Instant::min();
  std::deque<Event> events_;
  std::deque<Bytes> output_;
  bool answered_ = false;
  bool is_silent_ = false;
};

}  // namespace culvert::gateway

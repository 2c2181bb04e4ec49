// SPDX-License-Identifier: Apache-2.0
#include "proto/gateway/client.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "proto/gateway/nat_pmp.hpp"
#include "proto/gateway/pcp.hpp"

namespace culvert::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Pauses {
  Duration first, longest;
};
constexpr Pauses kPcpPauses = {seconds(3), seconds(1024)};          // RFC 6887 section 8.1.1
constexpr Pauses kNatPmpPauses = {milliseconds(250), seconds(64)};  // RFC 6886 section 3.1

// Questions without an answer that may be under way at once, and how long one counts as that. NAT-PMP wants
// one after another (RFC 6886 section 3.1).
constexpr std::size_t kPcpAtOnce = 16, kNatPmpAtOnce = 1;
constexpr Duration kTurn = seconds(1);

// What a router says of time is believed within these.
constexpr Duration kShortestRenewal = seconds(4);             // RFC 6887 section 11.2.1
constexpr Duration kShortestLifetime = 2 * kShortestRenewal;  // half of which has to be worth a renewal
constexpr Duration kLongestRenewal = std::chrono::hours(12);
constexpr Duration kShortestRest = seconds(30), kLongestRest = std::chrono::hours(1);
constexpr Duration kNatPmpRest = std::chrono::minutes(2);
constexpr Duration kMostRecoveryDelay = seconds(5);
constexpr Duration kBetweenRounds = seconds(30);
constexpr Duration kAddressAge = seconds(60), kBetweenAddresses = seconds(1);

}  // namespace

Client::Client(const ClientOptions& options, crypto::Random& random) : options_(options), random_(random) {
  CULVERT_ASSERT(options.lifetime > 0);
}

std::size_t Client::add(Protocol protocol, std::uint16_t inside, std::uint16_t outside, const Nonce& nonce,
                        Instant now) {
  Kept& kept = kept_.emplace_back();
  kept.request = {.protocol = protocol,
                  .inside = inside,
                  .outside = outside,
                  .outside_address = options_.here.is_v4() ? IpAddress() : *IpAddress::parse("::"),
                  .lifetime = options_.lifetime,
                  .nonce = nonce};
  ask(kept.question, now);
  if (!is_pcp() && !address_ && address_question_.state == Question::State::over) ask(address_question_, now);
  return kept_.size() - 1;
}

void Client::remove(std::size_t mapping, Instant now) {
  Kept& kept = kept_[mapping];
  CULVERT_ASSERT(!kept.is_leaving);
  kept.is_leaving = true;
  kept.request.lifetime = 0;
  const bool is_unknown = kept.question.sent == Instant::min() && !kept.open;
  if (is_silent_ || is_unknown) return leave(mapping, {.mapping = mapping});
  ask(kept.question, now);
}

void Client::refresh(Instant now) {
  if (is_silent_) return;
  for (Kept& kept : kept_) {
    if (kept.question.state != Question::State::over) ask(kept.question, now);
  }
  if (!is_pcp() && !kept_.empty()) ask(address_question_, now);
}

void Client::receive(ByteView datagram, Instant now) {
  const auto answer = is_pcp() ? pcp::decode(datagram) : nat_pmp::decode(datagram);
  if (!answer || is_silent_) return;
  if (answer->status == Status::wrong_version) {
    // Who has understood us before does not say so.
    if (answered_) return;
    is_silent_ = true;
    answered_ = true;
    events_.emplace_back(WrongDialect{});
    return;
  }
  const std::size_t mapping = asked_for(*answer);
  const bool fits = mapping < kept_.size() || is_address(*answer);
  if (!fits) return;
  answered_ = true;
  check_epoch(*answer, Duration::zero(), now);
  if (is_address(*answer)) return take_address(*answer, now);
  take_mapping(mapping, *answer, now);
}

void Client::announced(ByteView datagram, Instant now) {
  const auto answer = is_pcp() ? pcp::decode(datagram) : nat_pmp::decode(datagram);
  // One that was never spoken with has granted nothing.
  if (!answer || is_silent_ || !answered_ || answer->status != Status::success) return;
  if (answer->about != Answer::About::announcement && !is_address(*answer)) return;
  check_epoch(*answer, kMostRecoveryDelay, now);
  // Whoever shares the network can send one: the router is asked what it says.
  if (!is_address(*answer) || answer->outside_address == address_) return;
  const bool will_be_asked =
      address_question_.state == Question::State::asking && address_question_.tries == 0;
  if (address_question_.state != Question::State::answered && !will_be_asked) return;
  const Instant at = std::max(now, address_question_.sent + kBetweenAddresses);
  if (!will_be_asked || at < address_question_.due) ask(address_question_, at);
}

void Client::check_epoch(const Answer& answer, Duration most_delay, Instant now) {
  using State = Question::State;
  if (epoch_.fits(answer.epoch, now)) return;
  // Those that are being asked for already make no news: a flood of announcements neither delays them nor
  // shows. Where answers never fit, each would ask for all others: there is a round of that every now and
  // then, and what comes between two joins the next.
  const bool begins_round = now >= next_round_;
  const Instant at = begins_round ? now : next_round_;
  bool is_news = false;
  for (Kept& kept : kept_) {
    if (kept.is_leaving || !kept.open || kept.question.state == State::asking) continue;
    const Instant due = at + random_part(most_delay);
    if (kept.question.due <= due) continue;  // it is renewed before that
    ask(kept.question, due);
    is_news = true;
  }
  if (!is_news) return;
  if (!is_pcp() && address_question_.state != State::asking) ask(address_question_, at);
  if (!begins_round) return;
  next_round_ = now + kBetweenRounds;
  events_.emplace_back(Restarted{});
}

// The mapping that an answer is about; none: their number.
std::size_t Client::asked_for(const Answer& answer) const {
  if (answer.about != Answer::About::mapping) return kept_.size();
  const auto found = std::ranges::find_if(kept_, [&](const Kept& kept) {
    const MapRequest& request = kept.request;
    return kept.question.state != Question::State::over && request.protocol == answer.protocol &&
           request.inside == answer.inside && (!answer.nonce || request.nonce == *answer.nonce);
  });
  return static_cast<std::size_t>(found - kept_.begin());
}

void Client::take_address(const Answer& answer, Instant now) {
  using State = Question::State;
  if (answer.status != Status::success || answer.outside_address->is_unspecified()) {
    if (address_question_.state != State::asking) return;
    address_question_.state = State::refused;
    address_question_.due = now + kShortestRest;
    const Status why = answer.status == Status::success ? Status::network_failure : answer.status;
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      if (!kept_[i].is_leaving) events_.emplace_back(Refused{i, why, kShortestRest});
    }
    return;
  }
  const bool is_new = address_ != answer.outside_address;
  address_ = answer.outside_address;
  address_at_ = now;
  address_question_.state = State::answered;
  address_question_.due = kNever;
  if (!is_new) return;
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    Kept& kept = kept_[i];
    if (kept.is_leaving || !kept.open) continue;
    kept.open->address = *address_;
    events_.emplace_back(Granted{i, *address_, kept.open->outside, kept.open->until - now});
  }
}

void Client::take_mapping(std::size_t index, const Answer& answer, Instant now) {
  Kept& kept = kept_[index];
  const bool is_done = answer.status == Status::success;
  if (!kept.is_leaving) {
    const bool is_granted = is_done && seconds(answer.lifetime) >= kShortestLifetime && answer.outside != 0;
    return is_granted ? grant(index, answer, now) : refuse(index, answer, now);
  }
  if (!is_done && !kept.is_cut_short && is_pcp()) {
    // miniupnpd 2.3.1 does not end pinholes of IPv6.
    kept.is_cut_short = true;
    kept.request.lifetime = 1;
    ask(kept.question, now);
  } else if (!is_done || answer.lifetime == 0 || kept.is_cut_short) {
    leave(index, {.mapping = index, .status = answer.status, .left = seconds(is_done ? answer.lifetime : 0)});
  }  // else a late answer to what was asked before; the end is on its way still
}

void Client::grant(std::size_t index, const Answer& answer, Instant now) {
  Kept& kept = kept_[index];
  const auto& address = is_pcp() ? answer.outside_address : address_;
  if (!address) return;  // NAT-PMP: a late answer; the address comes first
  if (address->is_unspecified()) return refuse(index, answer, now);
  const Duration lifetime = seconds(answer.lifetime);
  kept.open = Open{*address, answer.outside, now, now + lifetime};
  // What was had once is asked for again, also from a router that has forgotten it.
  kept.request.outside = answer.outside;
  kept.request.outside_address = *address;
  kept.question.tries = 0;
  kept.question.state = Question::State::answered;
  plan_renewal(kept, now);
  events_.emplace_back(Granted{index, *address, answer.outside, lifetime});
}

void Client::refuse(std::size_t index, const Answer& answer, Instant now) {
  Kept& kept = kept_[index];
  // "It is done" for no time at all is a refusal, too, and at no address.
  Status why = answer.status;
  if (why == Status::success)
    why = seconds(answer.lifetime) < kShortestLifetime ? Status::too_short : Status::network_failure;
  const bool says_rest = is_pcp() && answer.status != Status::success;
  const Duration said = says_rest ? Duration(seconds(answer.lifetime)) : kNatPmpRest;
  const Duration rest = std::clamp(said, kShortestRest, kLongestRest);
  kept.question.state = Question::State::refused;
  kept.question.due = now + rest;
  events_.emplace_back(Refused{index, why, rest});
}

void Client::leave(std::size_t index, const Removed& how) {
  kept_[index].question.state = Question::State::over;
  kept_[index].question.due = kNever;
  kept_[index].open.reset();
  events_.emplace_back(how);
}

void Client::advance(Instant now) {
  using State = Question::State;
  if (is_silent_) return;
  bool may_ask = turn(now) <= now;
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    Kept& kept = kept_[i];
    if (kept.open && kept.open->until <= now) {
      kept.open.reset();
      if (!kept.is_leaving) {
        events_.emplace_back(Lost{i});
        ask(kept.question, now);
      }
    }
    Question& question = kept.question;
    if (question.state == State::over || question.due > now || waits_for_address()) continue;
    if (question.state == State::refused) ask(question, now);
    const bool needs_turn = question.state == State::asking && question.tries == 0;
    if (needs_turn && !may_ask) continue;
    send_mapping(kept, now);
    if (needs_turn) may_ask = turn(now) <= now;
  }
  if (address_question_.state != State::over && address_question_.due <= now) {
    if (address_question_.state == State::refused) ask(address_question_, now);
    output_.push_back(nat_pmp::encode_address_request());
    ask_again(address_question_, now);
  }
}

void Client::send_mapping(Kept& kept, Instant now) {
  output_.push_back(is_pcp() ? pcp::encode(kept.request, options_.here) : nat_pmp::encode(kept.request));
  if (kept.question.state == Question::State::asking) return ask_again(kept.question, now);
  ++kept.question.tries;
  kept.question.sent = now;
  plan_renewal(kept, now);
  if (!is_pcp() && now - address_at_ > kAddressAge) ask(address_question_, now);
}

Instant Client::next_deadline() const {
  using State = Question::State;
  if (is_silent_) return kNever;
  Instant next = address_question_.state == State::over ? kNever : address_question_.due;
  Instant first_asked = kNever;
  for (const Kept& kept : kept_) {
    if (kept.open) next = std::min(next, kept.open->until);
    const Question& question = kept.question;
    if (question.state == State::over || waits_for_address()) continue;
    const bool needs_turn = question.state == State::asking && question.tries == 0;
    Instant& earliest = needs_turn ? first_asked : next;
    earliest = std::min(earliest, question.due);
  }
  return first_asked == kNever ? next : std::min(next, std::max(first_asked, turn(first_asked)));
}

std::optional<Event> Client::next_event() {
  if (events_.empty()) return std::nullopt;
  Event event = events_.front();
  events_.pop_front();
  return event;
}

std::optional<Bytes> Client::next_output() {
  if (output_.empty()) return std::nullopt;
  Bytes datagram = std::move(output_.front());
  output_.pop_front();
  return datagram;
}

void Client::ask(Question& question, Instant when) const {
  question.state = Question::State::asking;
  question.due = when;
  question.tries = 0;
}

// RFC 6887 section 8.1.1: twice as long each time, within a bound, and never quite the same.
void Client::ask_again(Question& question, Instant now) {
  const Pauses& pauses = is_pcp() ? kPcpPauses : kNatPmpPauses;
  const Duration mean =
      question.tries == 0 ? pauses.first : std::min<Duration>(2 * question.pause, pauses.longest);
  question.pause = mean - mean / 10 + random_part(mean / 5);
  ++question.tries;
  question.sent = now;
  question.due = now + question.pause;
}

// RFC 6887 section 11.2.1: at 1/2 to 5/8 of the lifetime, at 3/4 to 13/16, and so on.
void Client::plan_renewal(Kept& kept, Instant now) {
  const unsigned shift = std::min(kept.question.tries, 16U);
  const Duration lifetime = kept.open->until - kept.open->since;
  const Instant at =
      kept.open->until - lifetime / (2 << shift) + random_part(lifetime / (std::int64_t{8} << shift));
  const Instant latest = now + kLongestRenewal + random_part(kLongestRenewal / 4);
  kept.question.due = std::max(std::min(at, latest), now + kShortestRenewal);
}

bool Client::waits_for_address() const { return !is_pcp() && !address_; }

// When a question may be asked for the first time.
Instant Client::turn(Instant now) const {
  const std::size_t most = is_pcp() ? kPcpAtOnce : kNatPmpAtOnce;
  std::vector<Instant> under_way;
  for (const Kept& kept : kept_) {
    const Question& question = kept.question;
    if (question.state == Question::State::asking && question.tries > 0 && question.sent + kTurn > now)
      under_way.push_back(question.sent + kTurn);
  }
  if (under_way.size() < most) return now;
  std::ranges::sort(under_way);
  return under_way[under_way.size() - most];
}

Duration Client::random_part(Duration of) {
  if (of <= Duration::zero()) return Duration::zero();
  std::array<std::uint8_t, 8> bytes;
  random_.fill(bytes);
  std::uint64_t number = 0;
  for (const std::uint8_t byte : bytes) number = number << 8 | byte;
  return Duration(static_cast<Duration::rep>(number % static_cast<std::uint64_t>(of.count() + 1)));
}

}  // namespace culvert::gateway

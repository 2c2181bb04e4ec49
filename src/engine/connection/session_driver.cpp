// SPDX-License-Identifier: Apache-2.0
#include "engine/connection/session_driver.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include "base/assert.hpp"
#include "engine/connection/channel_stream.hpp"
#include "net/as_tuple.hpp"
#include "net/yield.hpp"

namespace culvert::connection {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kSmallestRead = 64 * 1024;
constexpr std::size_t kLargestRead = 1024 * 1024;
constexpr unsigned kSmallReadsBeforeShrinking = 64;
constexpr unsigned kRoundsInATurn = 16;
constexpr std::size_t kReadInARow = 256 * 1024;  // then everybody else on this thread, or
constexpr auto kTurn = std::chrono::milliseconds(1);
constexpr std::size_t kLeastRead = 8 * 1024;
constexpr std::size_t kManyEvents = 128;       // of one read, data apart: less is read at a time
constexpr std::size_t kSmallRead = 16 * 1024;  // bulk is acknowledged often enough by itself
constexpr std::size_t kBulk = 64 * 1024;       // read since the last wait
constexpr std::size_t kNotWorthWaking = 512 * 1024;
constexpr auto kPause = std::chrono::microseconds(500);
constexpr std::size_t kMuchIsCopied = 16;           // when it is one byte in so many of what was read
constexpr std::size_t kGatheredMost = 1024 * 1024;  // bytes
constexpr std::size_t kMostChannels = 16;           // whose data is gathered at once
constexpr std::size_t kCrowd = 4;                   // channels
constexpr std::size_t kWorthACall = 32 * 1024;      // bytes to send, in a crowd
constexpr std::size_t kSmallestLowWater = 64 * 1024;
constexpr auto kLinger = std::chrono::seconds(2);
constexpr auto kLookForCloses = std::chrono::milliseconds(5);
constexpr auto kFarAway = std::chrono::seconds(2);
constexpr auto kLate = std::chrono::milliseconds(100);
constexpr auto kMovedFar = std::chrono::seconds(5);

}  // namespace

// If the executor is destroyed under the coroutine, the coroutines that wait in our streams are unwound too:
// their frames own the streams, which own the way back into the frames.
class SessionDriver::UnwindGuard {
 public:
  explicit UnwindGuard(SessionDriver& driver) : driver_(driver) {}
  UnwindGuard(const UnwindGuard&) = delete;
  UnwindGuard& operator=(const UnwindGuard&) = delete;
  ~UnwindGuard() {
    if (driver_.finished_) return;
    driver_.on_event_ = nullptr;
    for (ChannelStream* stream : std::exchange(driver_.streams_, {})) {
      if (stream != nullptr) stream->abandon();
    }
  }

 private:
  SessionDriver& driver_;
};

SessionDriver::SessionDriver(std::unique_ptr<Carrier> carrier, ssh::SessionConfig config,
                             crypto::Random& random)
    : executor_(carrier->executor()),
      carrier_(std::move(carrier)),
      largest_read_(config.role == ssh::Role::server ? kReadInARow : kLargestRead),
      session_(std::make_unique<ssh::Session>(std::move(config), random, monotonic_now())),
      timer_(executor_),
      pause_(executor_),
      finished_signal_(executor_) {}

SessionDriver::~SessionDriver() = default;

void SessionDriver::start(EventHandler on_event) {
  on_event_ = std::move(on_event);
  // The one coroutine of the tunnel that nobody awaits: it holds its driver, and over() tells when it is
  // done.
  asio::co_spawn(
      executor_,
      [self = shared_from_this(), guard = std::make_unique<UnwindGuard>(*this)] { return self->run(); },
      asio::detached);
  after_command();
}

void SessionDriver::stop(std::string_view goodbye, ssh::Goodbye why) {
  if (over_ || finished_) return;
  session_->disconnect(goodbye, why);
  after_command();
}

void SessionDriver::check_address() {
  if (over_ || finished_ || input_ended_ || carrier_->has_its_address()) return;
  write_failed_ = true;
  if (!lost_) lost_ = Error{Errc::closed, "this machine has lost the address that it was connected from"};
  end_input();
  carrier_->cancel();
  pause_.cancel();
}

relay::Task<void> SessionDriver::channels_closed(Duration time, std::size_t but) {
  const auto self = shared_from_this();
  const Instant deadline = monotonic_now() + time;
  net::Timer look(executor_);
  while (!over_ && session_->channel_count() > but) {
    const Duration left = deadline - monotonic_now();
    if (left <= Duration::zero()) co_return;
    look.expires_after(std::min<Duration>(left, kLookForCloses));
    (void)co_await look.async_wait(net::kTuple);
  }
}

relay::Task<Error> SessionDriver::over() {
  const auto self = shared_from_this();
  if (!finished_) (void)co_await finished_signal_.async_wait(net::kTuple);
  co_return over_.value_or(cancelled().error());
}

relay::Task<void> SessionDriver::run() {
  std::size_t in_a_row = 0;
  Instant went_on = monotonic_now();
  while (!over_) {
    const std::size_t size = read_size_;
    events_of_read_ = 0;
    const std::size_t got = input_ended_ ? 0 : read_once();
    turn();
    if (over_) break;
    acknowledge();
    if (got > 0) adapt_read_size(got);
    in_a_row += got;
    if ((got < size || is_ahead()) && !input_ended_) {
      co_await wait_for_input();
    } else if (in_a_row >= kReadInARow || monotonic_now() - went_on >= kTurn || input_ended_) {
      co_await net::yield();
    } else {
      continue;
    }
    in_a_row = 0;
    went_on = monotonic_now();
  }
  if (over_->code != Errc::timed_out) co_await linger();
  finish();
}

// OpenSSH's server sets TCP_NODELAY for sessions with a shell alone: its next small packet waits for our
// acknowledgement of this one, which the kernel would delay by 40 ms. An answer carries it.
// (docs/decisions/acknowledge-at-once.md)
void SessionDriver::acknowledge() {
  if (std::exchange(owes_acknowledgement_, false)) carrier_->acknowledge_now();
}

// In bulk every few packets would wake us, and each waking costs more than a packet: what comes within a
// moment is taken together. (docs/decisions/pause-in-bulk.md has the figures.)
relay::Task<void> SessionDriver::wait_for_input() {
  const bool pauses = is_in_bulk();
  read_since_wait_ = 0;
  kept_since_wait_ = 0;
  if (pauses != wakes_late_) carrier_->wake_at(pauses ? kNotWorthWaking : 1);
  wakes_late_ = pauses;
  if (pauses) {
    pause_.expires_after(kPause);
    (void)co_await pause_.async_wait(net::kTuple);
  } else {
    co_await carrier_->readable();
  }
}

bool SessionDriver::is_in_bulk() const { return read_since_wait_ >= kBulk && carrier_->fills_by_itself(); }

// What a destination does not take has to be copied aside, into memory that has left the cache; in a moment
// it takes more. One that takes nothing at all does not hold up the others for longer than its window lasts.
// (docs/decisions/pause-in-bulk.md)
bool SessionDriver::is_ahead() const {
  return is_in_bulk() && kept_since_wait_ >= read_since_wait_ / kMuchIsCopied;
}

// The last words of the session, and what streams wrote before, leave; a peer that takes nothing cannot hold
// us for long.
relay::Task<void> SessionDriver::linger() {
  const Instant deadline = monotonic_now() + kLinger;
  for (;;) {
    (void)write_output();
    if (write_failed_ || session_->output().empty()) break;
    const Duration left = deadline - monotonic_now();
    if (left <= Duration::zero()) break;
    pause_.expires_after(left);
    if (!std::exchange(write_waiting_, true))
      carrier_->when_writable([self = shared_from_this()] { self->on_writable(); });
    (void)co_await pause_.async_wait(net::kTuple);
    if (write_waiting_) break;
  }
}

// The one way out.
void SessionDriver::finish() {
  finished_ = true;
  timer_.cancel();
  carrier_->close();
  on_event_ = nullptr;
  for (std::size_t id = 0; id < streams_.size(); ++id) {
    if (auto* left = std::exchange(streams_[id], nullptr)) left->on_closed(true);
  }
  session_.reset();
  stashed_.reset();
  gathered_ = {};
  spare_views_ = {};
  borrowed_ = {};
  finished_signal_.cancel();
}

// Reads once, and says how much.
std::size_t SessionDriver::read_once() {
  const MutableBytes room = session_->prepare(read_size_).first(read_size_);
  const net::Transferred got = carrier_->read(room);
  if (got.would_block()) {
    if (write_failed_) end_input();
    return 0;
  }
  if (got.failed() && !lost_) lost_ = net::io_error("", got.error);
  if (got.failed() || got.bytes == 0) {
    end_input();
    return 0;
  }
  session_->commit(got.bytes, monotonic_now());
  read_since_wait_ += got.bytes;
  bytes_read_ += got.bytes;
  owes_acknowledgement_ = got.bytes < kSmallRead;
  return got.bytes;
}

// Many small messages take longer than one of their size, and others on this thread wait for all that was
// read.
void SessionDriver::adapt_read_size(std::size_t got) {
  if (events_of_read_ > kManyEvents) {
    read_size_ = std::max(read_size_ / 2, kLeastRead);
    small_reads_ = 0;
  } else if (got == read_size_) {
    read_size_ = std::min(read_size_ * 2, largest_read_);
    small_reads_ = 0;
  } else if (read_size_ > kSmallestRead && got < read_size_ / 8) {
    if (++small_reads_ < kSmallReadsBeforeShrinking) return;
    read_size_ /= 2;
    small_reads_ = 0;
  } else {
    small_reads_ = 0;
  }
}

void SessionDriver::turn() {
  if (in_turn_ || over_) return;
  in_turn_ = true;
  // Each makes work for the other: events bring answers to send, and what was sent makes room to write.
  unsigned rounds = 0;
  for (bool moved = true; moved && rounds < kRoundsInATurn; ++rounds) {
    moved = drain();
    moved = write_output() || moved;
  }
  in_turn_ = false;
  if (over_) {
    carrier_->cancel();  // lets run() go on
    pause_.cancel();
    return;
  }
  if (rounds == kRoundsInATurn) post_turn();
  arm_timer();
}

void SessionDriver::post_turn() {
  if (std::exchange(turn_posted_, true)) return;
  asio::post(executor_, [self = shared_from_this()] {
    self->turn_posted_ = false;
    self->turn();
  });
}

void SessionDriver::after_command() {
  if (in_turn_ || over_) return;
  // Of many streams some have something to say in each round of the loop: it leaves in one call, which costs
  // more than all else of a small message, and wakes the peer once.
  if (session_->channel_count() >= kCrowd && session_->output().size() < kWorthACall) return post_turn();
  (void)write_output();
  // What the command brought up is handled from the loop, never on the stack of whoever gave it.
  if (!stashed_) stashed_ = session_->next_event();
  // Every turn takes all data, so none is left that a read before the next turn would overwrite.
  CULVERT_ASSERT(!stashed_ || !std::holds_alternative<ssh::ChannelData>(*stashed_));
  if (stashed_ || (!write_waiting_ && !write_failed_ && !session_->output().empty())) post_turn();
  arm_timer();
}

// Handles all events; false if there were none.
bool SessionDriver::drain() {
  bool any = false;
  while (!over_) {
    std::optional<ssh::Event> event =
        stashed_ ? std::exchange(stashed_, std::nullopt) : session_->next_event();
    if (!event) break;
    any = true;
    if (const auto* data = std::get_if<ssh::ChannelData>(&*event)) {
      gather(*data);
    } else {
      ++events_of_read_;
      deliver_gathered();
      dispatch(std::move(*event));
    }
  }
  deliver_gathered();
  return any;
}

void SessionDriver::gather(const ssh::ChannelData& data) {
  if (data.is_extended || stream(data.id) == nullptr) {
    session_->consumed(data.id, data.data.size());
    return;
  }
  auto entry = std::ranges::find(gathered_, data.id, &Gathered::id);
  const bool is_full =
      entry == gathered_.end() ? gathered_.size() == kMostChannels : entry->views.size() == kMostViews;
  if (is_full || gathered_bytes_ >= kGatheredMost) {
    deliver_gathered();
    entry = gathered_.end();
  }
  if (entry == gathered_.end()) {
    gathered_.push_back({data.id, spare_views_.empty() ? Views() : std::move(spare_views_.back())});
    if (!spare_views_.empty()) spare_views_.pop_back();
    entry = gathered_.end() - 1;
  }
  entry->views.push_back(data.data);
  gathered_bytes_ += data.data.size();
}

void SessionDriver::deliver_gathered() {
  for (Gathered& one : gathered_) {
    if (auto* reader = stream(one.id)) {
      reader->on_data(one.views);
      // What it did not take must leave the session's buffer now; it may be gone.
      if (auto* still_there = stream(one.id)) still_there->keep();
    } else {
      session_->consumed(one.id, size_of(one.views));
    }
    one.views.clear();
    spare_views_.push_back(std::move(one.views));
  }
  gathered_.clear();
  gathered_bytes_ = 0;
}

void SessionDriver::dispatch(ssh::Event event) {
  if (const auto* opened = std::get_if<ssh::ChannelOpened>(&event)) {
    if (auto* to = stream(opened->id)) return to->on_opened();
    return session_->close(opened->id);  // whoever asked has gone
  }
  if (auto* failed = std::get_if<ssh::ChannelOpenFailed>(&event)) {
    auto* to = stream(failed->id);
    detach(failed->id);
    if (to != nullptr) to->on_open_failed({failed->reason, std::move(failed->description)});
    return;
  }
  if (const auto* writable = std::get_if<ssh::ChannelWritable>(&event)) {
    if (auto* to = stream(writable->id)) to->on_writable();
    return;
  }
  if (const auto* ended = std::get_if<ssh::ChannelEnded>(&event)) {
    if (auto* to = stream(ended->id)) to->on_ended();
    return;
  }
  if (const auto* closed = std::get_if<ssh::ChannelClosed>(&event)) {
    auto* to = stream(closed->id);
    detach(closed->id);
    if (to != nullptr) to->on_closed(closed->is_cut);
    return;
  }
  if (const auto* end = std::get_if<ssh::Disconnected>(&event)) over_ = end->error;
  if (on_event_) on_event_(std::move(event));
}

void SessionDriver::attach(ssh::ChannelId id, ChannelStream& stream) {
  if (id >= streams_.size()) streams_.resize(std::size_t{id} + 1);
  CULVERT_ASSERT(streams_[id] == nullptr);
  streams_[id] = &stream;
}

void SessionDriver::detach(ssh::ChannelId id) {
  if (id < streams_.size()) streams_[id] = nullptr;
}

ChannelStream* SessionDriver::stream(ssh::ChannelId id) const {
  return id < streams_.size() ? streams_[id] : nullptr;
}

std::vector<ByteView>& SessionDriver::borrowed_views() {
  borrowed_.clear();
  return borrowed_;
}

// One send for all that waits; what the kernel does not take waits for writability. False: nothing left.
bool SessionDriver::write_output() {
  if (write_waiting_ || write_failed_) return false;
  const ByteView out = session_->output();
  if (out.empty()) return false;
  const net::Transferred sent = carrier_->write(out);
  if (sent.failed()) {
    // What the peer sent before it went away may still be there to read, its reason among it.
    write_failed_ = true;
    if (!lost_) lost_ = net::io_error("", sent.error);
    carrier_->cancel();
    return false;
  }
  if (sent.bytes < out.size() && !over_) wait_for_writability();
  if (sent.bytes == 0) return false;
  owes_acknowledgement_ = false;
  session_->consume_output(sent.bytes, monotonic_now());
  follow_output_limit();
  return true;
}

void SessionDriver::wait_for_writability() {
  write_waiting_ = true;
  carrier_->when_writable([self = shared_from_this()] { self->on_writable(); });
}

void SessionDriver::on_writable() {
  write_waiting_ = false;
  if (over_) {
    pause_.cancel();  // linger() sleeps on it
  } else {
    turn();
  }
}

// The carrier's unsent bytes stand before a keystroke just as ours do, so they follow the same limit.
void SessionDriver::follow_output_limit() {
  const std::size_t wanted = std::max(session_->output_limit(), kSmallestLowWater);
  if (low_water_ != 0 && wanted < low_water_ * 2 && wanted > low_water_ / 2) return;
  low_water_ = wanted;
  carrier_->limit_unsent(wanted);
}

// A deadline that moves back a little is left alone: the timer then fires early and looks again. (One that
// moves far is worth the call, or each answer of an idle session would be followed by a waking in vain.) One
// that is far away is met a little late, so that an answer which moves it by a round trip does not make it
// two wakings.
void SessionDriver::arm_timer() {
  if (over_) return;
  Instant next = session_->next_deadline();
  if (next >= armed_ && (next == kNever || next - armed_ < kMovedFar)) return;
  if (next != kNever && next - monotonic_now() > kFarAway) next += kLate;
  armed_ = next;
  timer_.expires_at(next);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error || self->over_) return;
    self->armed_ = kNever;
    if (self->session_->next_deadline() <= monotonic_now()) self->meet_deadline();
    self->arm_timer();
  });
}

// When this process, or its machine, was stopped for a while, the answer may have come meanwhile and wait to
// be read: whoever is silent is judged behind that.
void SessionDriver::meet_deadline() {
  if (!input_ended_) {
    (void)read_once();
    turn();
  }
  if (over_) return;
  session_->advance(monotonic_now());
  turn();
  if (!over_) acknowledge();
}

void SessionDriver::end_input() {
  input_ended_ = true;
  session_->commit_end(monotonic_now(), lost_);
}

}  // namespace culvert::connection

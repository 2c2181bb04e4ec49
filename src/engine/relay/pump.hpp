// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.hpp"
#include "engine/relay/duct.hpp"
#include "engine/relay/passage.hpp"
#include "engine/relay/stream.hpp"
#include "net/parked.hpp"

namespace culvert::relay {

/// How a pump ended.
struct PumpSummary {
  std::uint64_t a_to_b = 0;  ///< bytes that b took
  std::uint64_t b_to_a = 0;
  /// None: both directions ended in order. Errc::closed: one end took no more, and the other direction ended
  /// in order. Errc::timed_out: expire(). Otherwise both were aborted: Errc::reset, Errc::cancelled after
  /// stop(), or what went wrong.
  std::optional<Error> error;
};

/// Joins two streams by two directions that end separately: the end of one is passed on by end(), and the
/// other goes on, unless its destination says that it was closed: then both are closed when all that came
/// from there is passed on. A reset of either stream, and any other failure, aborts both, so that it arrives
/// as a reset and not as an end. Both streams must outlive run().
class Pump final : private Duct::Owner {
 public:
  Pump(Stream& a, Stream& b) : a_(a), b_(b), out_(a, b, *this), back_(b, a, *this) {}
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  /// Once. Returns when both directions have ended; both streams are closed or aborted then. Asio
  /// cancellation works as stop() does.
  [[nodiscard]] Task<PumpSummary> run();
  /// Aborts both streams; run() returns soon after. Errc::cancelled is the reason if there was none before.
  void stop();
  /// Ends both streams with Errc::timed_out and this message; run() returns soon after. In order, but for
  /// bytes that still wait for their destination: then both are aborted, or what had come would look whole.
  void expire(std::string why);

  [[nodiscard]] std::uint64_t a_to_b() const { return out_.passage.moved; }
  [[nodiscard]] std::uint64_t b_to_a() const { return back_.passage.moved; }
  /// Grows with each byte that is passed on, and again when it arrives, as far as anybody can tell: a peer
  /// that is slow may have much of what was passed on still before it.
  [[nodiscard]] std::uint64_t progress() const {
    return 2 * (a_to_b() + b_to_a()) - a_.unsent() - b_.unsent();
  }
  /// A limit of ours holds bytes back.
  [[nodiscard]] bool is_held_back() const { return a_.is_held_back() || b_.is_held_back(); }
  /// One direction has ended, and the other has not.
  [[nodiscard]] bool is_half_closed() const { return out_.passage.ended != back_.passage.ended; }

 private:
  struct Direction;
  /// What becomes of a source can be something that nobody waits for: a reset while the destination takes no
  /// more, or that the peer closed it behind its end.
  struct SourceWatch final : net::Readiness::FailureListener, Stream::CloseListener {
    SourceWatch(Pump& owner, Direction& of) : pump(owner), direction(of) {}
    void socket_failed() override { pump.source_failed(direction.from); }
    void peer_closed() override { pump.source_closed(direction); }
    Pump& pump;
    Direction& direction;
  };
  struct Direction {
    Direction(Stream& source, Stream& destination, Pump& pump)
        : from(source), to(destination), duct(pump), watch(pump, *this) {}
    Stream& from;
    Stream& to;
    Passage passage;
    bool source_closed = false;  ///< its peer takes no more
    Duct duct;
    SourceWatch watch;
  };
  enum class Carried : std::uint8_t { over, between_sockets };

  void go_on(Direction& direction);
  void source_failed(Stream& source);
  void source_closed(Direction& direction);
  void close_both();
  void let_go();
  void came_to(Duct& duct, Duct::Over over) override;
  void start(Direction& direction, Task<Carried> carry);
  void came_to(Direction& direction, std::exception_ptr exception, Carried carried);
  Task<Carried> carry(Direction& direction);
  std::optional<std::size_t> pass_on(Direction& direction, Result<std::span<const ByteView>> lent);
  Task<Carried> carry_bulk(Direction& direction);
  Carried failed(CarryFailure failure);
  void failed(Error error);
  void ended(Direction& direction);
  [[nodiscard]] bool have_ended() const { return out_.passage.ended && back_.passage.ended; }

  Stream& a_;
  Stream& b_;
  Direction out_, back_;
  boost::asio::any_io_executor executor_;
  net::Parked parked_;  ///< run(), which waits
  std::optional<Error> error_;
  std::exception_ptr exception_;
  bool over_ = false;  ///< both were closed or aborted before their ends
};

}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/relay/bucket.hpp"
#include "engine/relay/stream.hpp"
#include "net/timer.hpp"

namespace culvert::relay {

/// Whom a MeteredStream asks what may pass, and tells what did. Belongs to one stream.
class Meter {
 public:
  /// What was read from the stream, or written to it.
  enum class Way : std::uint8_t { read, written };

  virtual ~Meter() = default;  ///< the stream is over
  /// Before each read and write; an error ends the stream.
  [[nodiscard]] virtual Result<void> check() { return {}; }
  /// Whether turn() may give less than is wanted. It may change: rules are read again. What is asked for from
  /// then on keeps to it.
  [[nodiscard]] virtual bool is_limiting() const = 0;
  /// As Bucket::turn().
  [[nodiscard]] virtual Turn turn(Way way, std::size_t wanted, Instant now) = 0;
  /// Of what turn() gave, so much did not pass.
  virtual void give_back(Way way, std::size_t bytes) = 0;
  virtual void count(Way /*way*/, std::size_t /*bytes*/) {}
};

/// A stream that a meter watches. What may not pass yet waits in the stream beneath. It has no
/// kernel_socket(): bytes that pass without us are not metered.
class MeteredStream final : public Stream {
 public:
  MeteredStream(std::unique_ptr<Stream> inner, std::unique_ptr<Meter> meter)
      : inner_(std::move(inner)), meter_(std::move(meter)) {}
  ~MeteredStream() override;

  [[nodiscard]] Task<Result<std::span<const ByteView>>> read() override;
  [[nodiscard]] bool may_read_at_once() const override { return inner_->may_read_at_once(); }
  void consume(std::size_t n) override;
  void keep() override { inner_->keep(); }
  [[nodiscard]] Result<std::size_t> write(std::span<const ByteView> bytes) override;
  [[nodiscard]] Task<Result<void>> writable() override;
  void end() override { inner_->end(); }
  void close() override;
  void abort() override;
  void set_close_listener(CloseListener* listener) override { inner_->set_close_listener(listener); }
  void set_failure_listener(net::Readiness::FailureListener* listener) override {
    inner_->set_failure_listener(listener);
  }
  [[nodiscard]] int take_failure() override { return inner_->take_failure(); }
  [[nodiscard]] bool is_held_back() const override { return pauses_ > 0 || inner_->is_held_back(); }
  [[nodiscard]] std::size_t unsent() const override { return inner_->unsent(); }

 private:
  /// What passes one way, and when it may.
  struct Side {
    const Meter::Way way;
    Turn turn = {};                          ///< what is left of it
    std::size_t waited_for = 0;              ///< of the whole turn, if it came later
    std::unique_ptr<net::Timer> timer = {};  ///< sleeps until that; null: never had to
  };
  [[nodiscard]] Task<Result<std::span<const ByteView>>> read_as_limited();
  [[nodiscard]] std::size_t may_pass(Side& side, std::size_t wanted);
  void give_back(Side& side);
  void take_turn(Side& side, std::size_t wanted, Instant now);
  [[nodiscard]] Task<Result<void>> pause(Side& side);
  void wake();

  const std::unique_ptr<Stream> inner_;
  const std::unique_ptr<Meter> meter_;  // ends before the stream beneath
  Side read_{.way = Meter::Way::read}, written_{.way = Meter::Way::written};
  int pauses_ = 0;             // sides that wait for their turn
  std::size_t paid_ = 0;       // of what read() has lent, until consume() tells how much of it passed
  bool lent_in_part_ = false;  // the stream beneath lent more than that
  std::vector<ByteView> lent_part_, written_part_;  // as much as may pass
  bool throttled_ = false;                          // the last write took less because of the meter
  std::size_t unwritten_ = 0;                       // so much less
  bool closed_ = false;
};

/// Keeps to rates that it shares with others. Null: none.
class RateMeter final : public Meter {
 public:
  RateMeter(std::shared_ptr<Rate> read, std::shared_ptr<Rate> written)
      : read_(std::move(read)), written_(std::move(written)) {}

  [[nodiscard]] bool is_limiting() const override { return read_ || written_; }
  [[nodiscard]] Turn turn(Way way, std::size_t wanted, Instant now) override {
    Rate* const rate = rate_of(way);
    return rate == nullptr ? Turn{wanted, now} : rate->turn(wanted, now);
  }
  void give_back(Way way, std::size_t bytes) override {
    if (Rate* const rate = rate_of(way)) rate->give_back(bytes);
  }

 private:
  [[nodiscard]] Rate* rate_of(Way way) const { return way == Way::read ? read_.get() : written_.get(); }

  const std::shared_ptr<Rate> read_, written_;
};

}  // namespace culvert::relay

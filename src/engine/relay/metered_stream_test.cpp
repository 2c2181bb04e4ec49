// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/metered_stream.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "tests/support/memory_stream.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/stream_io.hpp"

namespace culvert::relay {
namespace {

using testing::MemoryStream;
using testing::pattern;
using testing::receive_all;
using testing::run;
using testing::send_all;
using testing::start;

class MeteredStreamTest : public ::testing::Test {
 protected:
  std::unique_ptr<MeteredStream> metered(std::unique_ptr<Meter> meter, testing::MemoryStreamOptions near = {},
                                         testing::MemoryStreamOptions beyond = {}) {
    auto [here, there] = MemoryStream::make(context.get_executor(), std::move(near), std::move(beyond));
    far = std::move(there);
    return std::make_unique<MeteredStream>(std::move(here), std::move(meter));
  }

  boost::asio::io_context context;
  std::unique_ptr<MemoryStream> far;
};

TEST_F(MeteredStreamTest, KeepsToTheRateEachWay) {
  // A second's worth at once, half of one after that, and all of the second turn's.
  const auto rate = std::make_shared<Rate>(100'000);
  const std::string bytes = pattern(150'000, 1);
  const auto begin = std::chrono::steady_clock::now();
  for (const bool writes : {true, false}) {
    auto stream = writes ? metered(std::make_unique<RateMeter>(nullptr, rate))
                         : metered(std::make_unique<RateMeter>(rate, nullptr));
    Stream& from = writes ? static_cast<Stream&>(*stream) : *far;
    Stream& to = writes ? static_cast<Stream&>(*far) : *stream;
    auto sending = start(context, send_all(from, bytes));
    const auto received = run(context, receive_all(to));
    EXPECT_FALSE(received.error);
    EXPECT_TRUE(received.bytes == bytes);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(writes ? 450 : 1950));
    EXPECT_FALSE(stream->kernel_socket());
  }
}

// However much each of them wants, whoever came first, and when all of them were kept from it for a while.
TEST_F(MeteredStreamTest, ThoseWhoWaitShareTheRateEvenly) {
  const auto rate = std::make_shared<Rate>(100'000);
  constexpr int kStreams = 5;
  std::vector<std::unique_ptr<MemoryStream>> far_ends;
  std::vector<std::unique_ptr<MeteredStream>> streams;
  std::vector<testing::Running<Result<void>>> sending;
  const std::string bytes = pattern(100'000, 4);
  for (int i = 0; i < kStreams; ++i) {
    streams.push_back(
        metered(std::make_unique<RateMeter>(rate, nullptr), {.read_size = 4096}, {.capacity = 32768}));
    far_ends.push_back(std::move(far));
    sending.push_back(start(context, send_all(*far_ends.back(), bytes)));
  }
  context.restart();
  context.poll();  // there is something to read
  std::vector<std::size_t> passed(kStreams);
  const auto count = [](MeteredStream& from, std::size_t& sum) -> Task<void> {
    for (;;) {
      const auto lent = co_await from.read();
      if (!lent || lent->empty()) co_return;
      sum += size_of(*lent);
      from.consume(size_of(*lent));
    }
  };
  for (int i = 0; i < kStreams; ++i)
    boost::asio::co_spawn(context, count(*streams[i], passed[i]), boost::asio::detached);
  // The rate is used up, and somebody waits already: who is first has no second's worth.
  const Instant now = monotonic_now();
  ASSERT_EQ(rate->take(100'000, now), 100'000u);
  ASSERT_GT(rate->turn(1, now).at, now);
  for (const bool is_stopped_before : {false, true}) {
    if (is_stopped_before) std::this_thread::sleep_for(std::chrono::milliseconds(500));
    context.restart();
    context.run_for(std::chrono::milliseconds(is_stopped_before ? 200 : 500));
    const auto [least, most] = std::ranges::minmax(passed);  // 10,000 and 24,000, on a quick enough machine
    EXPECT_GE(least, 2000u);
    EXPECT_LE(most, least * 3 / 2 + 2000) << "stopped before: " << is_stopped_before;
  }
  EXPECT_TRUE(streams[0]->is_held_back());
  for (const auto& stream : streams) stream->abort();
  context.restart();
  context.run_for(std::chrono::milliseconds(200));
}

// Not byte by byte as the rate brings them.
TEST_F(MeteredStreamTest, WritesPiecesThatAreWorthIt) {
  const auto rate = std::make_shared<Rate>(50'000'000);
  ASSERT_EQ(rate->take(50'000'000, monotonic_now()), 50'000'000u);
  struct Counting final : Meter {
    explicit Counting(std::shared_ptr<Rate> of, int& of_writes) : rate(std::move(of)), writes(of_writes) {}
    bool is_limiting() const override { return true; }
    Turn turn(Way, std::size_t wanted, Instant now) override { return rate->turn(wanted, now); }
    void give_back(Way, std::size_t bytes) override { rate->give_back(bytes); }
    void count(Way way, std::size_t bytes) override { writes += way == Way::written && bytes > 0 ? 1 : 0; }
    std::shared_ptr<Rate> rate;
    int& writes;
  };
  int writes = 0;
  auto [here, there] = MemoryStream::make(context.get_executor(), {.capacity = 8 << 20});
  auto stream = std::make_unique<MeteredStream>(std::move(here), std::make_unique<Counting>(rate, writes));
  const std::string bytes = pattern(4 << 20, 5);
  const auto pump = [](Stream& to, std::string_view rest) -> Task<Result<void>> {
    while (!rest.empty()) {
      const ByteView piece = as_bytes(rest.substr(0, 65536));
      const std::size_t taken = CO_TRY(to.write({&piece, 1}));
      rest.remove_prefix(taken);
      if (taken == piece.size()) continue;
      if (auto ready = co_await to.writable(); !ready) co_return ready;
    }
    to.end();
    co_return Result<void>();
  };
  auto sending = start(context, pump(*stream, bytes));
  EXPECT_TRUE(run(context, receive_all(*there)).bytes == bytes);
  EXPECT_LE(writes, 400);
}

TEST_F(MeteredStreamTest, WithoutRatesNothingIsHeldBack) {
  auto stream = metered(std::make_unique<RateMeter>(nullptr, nullptr));
  const std::string bytes = pattern(1 << 20, 2);
  auto sending = start(context, send_all(*stream, bytes));
  EXPECT_TRUE(run(context, receive_all(*far)).bytes == bytes);
}

TEST_F(MeteredStreamTest, EndsWhileItIsHeldBack) {
  const auto rate = std::make_shared<Rate>(10);
  auto stream = metered(std::make_unique<RateMeter>(rate, rate));
  ASSERT_TRUE(run(context, send_all(*far, pattern(100, 3))));
  auto reading = start(context, receive_all(*stream));
  context.restart();
  context.poll();
  stream->abort();
  EXPECT_EQ(reading.wait().error->code, Errc::cancelled);
}

/// What is paid for, and may be limited from some time on.
class Till final : public Meter {
 public:
  explicit Till(std::size_t& paid, const bool& limits) : paid_(paid), limits_(limits) {}
  bool is_limiting() const override { return limits_; }
  Turn turn(Way, std::size_t wanted, Instant now) override {
    const std::size_t taken = std::min<std::size_t>(wanted, 60);
    paid_ += taken;
    return {taken, now};
  }
  void give_back(Way, std::size_t bytes) override { paid_ -= bytes; }

 private:
  std::size_t& paid_;
  const bool& limits_;
};

TEST_F(MeteredStreamTest, PaysForWhatPassedAlone) {
  std::size_t paid = 0;
  const bool limits = true;
  auto stream = metered(std::make_unique<Till>(paid, limits));
  ASSERT_TRUE(run(context, send_all(*far, pattern(100, 3))));
  for (const std::size_t passes : {0U, 20U, 0U, 50U, 30U}) {  // a destination that is slow
    const std::size_t before = paid;
    const auto lent = run(context, stream->read());
    ASSERT_TRUE(lent);
    ASSERT_GE(size_of(*lent), passes);
    stream->consume(passes);
    if (passes < size_of(*lent)) stream->keep();
    EXPECT_EQ(paid, before + passes);
  }
}

TEST_F(MeteredStreamTest, ALimitMayComeLater) {
  std::size_t paid = 0;
  bool limits = false;
  auto stream = metered(std::make_unique<Till>(paid, limits));
  ASSERT_TRUE(run(context, send_all(*far, pattern(200, 3))));
  EXPECT_EQ(size_of(run(context, stream->read()).value()), 200u);
  stream->consume(0);
  stream->keep();
  limits = true;
  EXPECT_EQ(size_of(run(context, stream->read()).value()), 60u);
  stream->consume(60);
  limits = false;
  EXPECT_EQ(size_of(run(context, stream->read()).value()), 140u);
}

/// Lets ten bytes through, one at a time.
class TenBytes final : public Meter {
 public:
  Result<void> check() override {
    if (passed >= 10) return fail(Errc::limit, "used up");
    return {};
  }
  bool is_limiting() const override { return true; }
  Turn turn(Way, std::size_t wanted, Instant now) override { return {std::min<std::size_t>(wanted, 1), now}; }
  void give_back(Way, std::size_t) override {}
  void count(Way, std::size_t bytes) override { passed += bytes; }
  std::size_t passed = 0;
};

TEST_F(MeteredStreamTest, ItsMeterEndsIt) {
  auto stream = metered(std::make_unique<TenBytes>());
  ASSERT_TRUE(run(context, send_all(*far, "0123456789abcdef")));
  const auto received = run(context, receive_all(*stream));
  EXPECT_EQ(received.bytes, "0123456789");
  EXPECT_EQ(received.error->code, Errc::limit);
}

}  // namespace
}  // namespace culvert::relay

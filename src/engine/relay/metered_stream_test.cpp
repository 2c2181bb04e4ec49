// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/metered_stream.hpp"

#include <chrono>
#include <memory>
#include <string>

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
  std::unique_ptr<MeteredStream> metered(std::unique_ptr<Meter> meter) {
    auto [here, there] = MemoryStream::make(context.get_executor());
    far = std::move(there);
    return std::make_unique<MeteredStream>(context.get_executor(), std::move(here), std::move(meter));
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
  std::size_t take(Way, std::size_t wanted) override {
    const std::size_t taken = std::min<std::size_t>(wanted, 60);
    paid_ += taken;
    return taken;
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
  std::size_t take(Way, std::size_t wanted) override { return std::min<std::size_t>(wanted, 1); }
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

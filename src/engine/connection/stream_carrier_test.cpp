// SPDX-License-Identifier: Apache-2.0
#include "engine/connection/stream_carrier.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <gtest/gtest.h>

#include "tests/support/memory_stream.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/stream_io.hpp"

namespace culvert::connection {
namespace {

namespace asio = boost::asio;
using testing::MemoryStream;
using testing::run;
using testing::send_all;
using testing::start;

struct Seen {
  std::string bytes;
  int error = 0;
};

class StreamCarrierTest : public ::testing::Test {
 protected:
  // As a session's driver does: what is there is taken, then it waits. On the executor, as all that it does.
  relay::Task<Seen> until(std::size_t size) {
    Seen seen;
    std::array<std::uint8_t, 64> room;
    while (seen.bytes.size() < size) {
      const net::Transferred got = carrier.read(room);
      if (got.would_block()) {
        co_await carrier.readable();
      } else if (got.failed() || got.bytes == 0) {
        seen.error = got.error;
        break;
      } else {
        seen.bytes += as_text(ByteView(room).first(got.bytes));
      }
    }
    co_return seen;
  }
  relay::Task<Seen> all() { return until(std::string::npos); }

  void say(std::string_view bytes) { ASSERT_TRUE(run(context, send_all(*far, bytes, false))); }

  boost::asio::io_context context;
  std::pair<std::unique_ptr<MemoryStream>, std::unique_ptr<MemoryStream>> ends =
      MemoryStream::make(context.get_executor());
  StreamCarrier carrier{context.get_executor(), std::move(ends.first)};
  MemoryStream* const far = ends.second.get();
};

// A server behind a jump host may say its name in the packet that the channel's confirmation came in.
TEST_F(StreamCarrierTest, ReadsWhatWasThereBeforeAnybodyWaited) {
  say("SSH-2.0-there");
  EXPECT_EQ(run(context, until(13)).bytes, "SSH-2.0-there");
}

TEST_F(StreamCarrierTest, ReadsWhatComesWhileItWaits) {
  auto reading = start(context, until(10));
  for (const char* piece : {"12345", "67890"}) {
    context.restart();
    context.poll();
    say(piece);
  }
  EXPECT_EQ(reading.wait().bytes, "1234567890");
}

TEST_F(StreamCarrierTest, KeepsWhatComesWhileNobodyWaits) {
  auto first = start(context, until(1));
  context.restart();
  context.poll();
  say("a");
  EXPECT_EQ(first.wait().bytes, "a");
  say(std::string(100, 'b'));  // more than one read() takes
  EXPECT_EQ(run(context, until(100)).bytes, std::string(100, 'b'));
}

TEST_F(StreamCarrierTest, TellsTheEndBehindTheBytes) {
  say("last");
  far->end();
  const Seen seen = run(context, all());
  EXPECT_EQ(seen.bytes, "last");
  EXPECT_EQ(seen.error, 0);
}

TEST_F(StreamCarrierTest, TellsAReset) {
  far->abort();
  EXPECT_EQ(run(context, all()).error, ECONNRESET);
}

TEST_F(StreamCarrierTest, TellsThatItIsWritableLater) {
  bool told = false, told_at_once = true;
  const auto ask = [&]() -> relay::Task<void> {
    co_await asio::post(asio::use_awaitable);  // on the executor, as a driver is
    carrier.when_writable([&] { told = true; });
    told_at_once = told;
  };
  run(context, ask());
  testing::run_until(context, [&] { return told; });
  EXPECT_FALSE(told_at_once);
}

TEST_F(StreamCarrierTest, LetsWhoeverWaitsGoOn) {
  for (const bool closes : {false, true}) {
    auto waiting = start(context, carrier.readable());
    context.restart();
    context.poll();
    ASSERT_FALSE(waiting.done());
    closes ? carrier.close() : carrier.cancel();
    waiting.wait();
  }
}

}  // namespace
}  // namespace culvert::connection

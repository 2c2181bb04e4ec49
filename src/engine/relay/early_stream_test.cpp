// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/early_stream.hpp"

#include <memory>
#include <string>

#include <sys/socket.h>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "engine/relay/pump.hpp"
#include "engine/relay/socket_stream.hpp"
#include "tests/support/memory_stream.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/stream_io.hpp"

namespace culvert::relay {
namespace {

namespace asio = boost::asio;
using testing::MemoryStream;
using testing::pattern;
using testing::receive_all;
using testing::run;
using testing::send_all;
using testing::start;

class EarlyStreamTest : public ::testing::Test {
 protected:
  std::unique_ptr<EarlyStream> make(std::string_view early, testing::MemoryStreamOptions ours = {}) {
    auto [here, there] = MemoryStream::make(context.get_executor(), std::move(ours));
    client = std::move(there);
    return std::make_unique<EarlyStream>(std::move(here), copy_of(as_bytes(early)));
  }
  asio::io_context context;
  std::unique_ptr<MemoryStream> client;
};

TEST_F(EarlyStreamTest, LendsWhatIsEarlyFirst) {
  for (const std::size_t read_size : {1, 3, 1000}) {
    auto stream = make("early ", {.read_size = read_size});
    EXPECT_TRUE(stream->may_read_at_once());
    EXPECT_TRUE(run(context, send_all(*client, "and late")));
    EXPECT_EQ(run(context, receive_all(*stream)).bytes, "early and late");
    EXPECT_TRUE(run(context, send_all(*stream, "answer")));
    EXPECT_EQ(run(context, receive_all(*client)).bytes, "answer");
  }
}

TEST_F(EarlyStreamTest, APartMayBeTakenAndTheRestKept) {
  auto stream = make("early ");
  EXPECT_TRUE(run(context, send_all(*client, "and late")));
  for (const std::string& rest : {"early ", "arly ", "ly "}) {
    const auto lent = run(context, stream->read());
    ASSERT_TRUE(lent && lent->size() == 1);
    EXPECT_EQ(as_text(lent->front()), rest);
    stream->consume(rest.size() == 6 ? 1 : 2);
    stream->keep();
  }
  EXPECT_EQ(run(context, receive_all(*stream)).bytes, " and late");
}

TEST_F(EarlyStreamTest, ThroughAPumpThatIsHeldUp) {
  const std::string early = pattern(16 * 1024, 1), late = pattern(300'000, 2);
  auto stream = make(early);
  auto [near, far] = MemoryStream::make(context.get_executor(), {.capacity = 1000, .write_size = 700});
  Pump pump(*stream, *near);
  auto pumping = start(context, pump.run());
  auto sending = start(context, send_all(*client, late));
  far->end();
  EXPECT_EQ(run(context, receive_all(*far)).bytes, early + late);
  EXPECT_FALSE(pumping.wait().error);
}

TEST_F(EarlyStreamTest, ClosedIsClosed) {
  for (const bool abort : {true, false}) {
    auto stream = make("early");
    const auto lent = run(context, stream->read());
    abort ? stream->abort() : stream->close();
    EXPECT_EQ(as_text(lent->front()), "early");  // still there for whoever has it
    EXPECT_EQ(run(context, stream->read()).error().code, Errc::cancelled);
    EXPECT_EQ(run(context, receive_all(*client)).error.has_value(), abort);
  }
}

TEST_F(EarlyStreamTest, ShowsItsSocketOnceNothingElseIsAhead) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  SocketStream other(*net::adopt(context.get_executor(), ends[1]));
  EarlyStream stream(std::make_unique<SocketStream>(*net::adopt(context.get_executor(), ends[0])),
                     copy_of(as_bytes("early")));
  EXPECT_FALSE(stream.kernel_socket());
  EXPECT_EQ(run(context, receive_all(stream, 5)).bytes, "early");
  EXPECT_EQ(stream.kernel_socket()->socket().native_handle(), ends[0]);
}

}  // namespace
}  // namespace culvert::relay

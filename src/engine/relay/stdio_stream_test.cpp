// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/stdio_stream.hpp"

#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include "engine/relay/pump.hpp"
#include "net/unique_fd.hpp"
#include "tests/support/memory_stream.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/stream_io.hpp"

namespace culvert::relay {
namespace {

using net::UniqueFd;
using testing::pattern;
using testing::receive_all;
using testing::run;
using testing::send_all;
using testing::start;

struct Pipe {
  Pipe() {
    std::array<int, 2> ends = {};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    read_end = UniqueFd(ends[0]);
    write_end = UniqueFd(ends[1]);
  }
  UniqueFd read_end, write_end;
};

bool is_non_blocking(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0; }

/// All that is in a pipe now, without blocking the test.
std::string read_now(int fd, bool* ended = nullptr) {
  std::string all;
  std::array<char, 65536> buffer;
  for (pollfd waits = {fd, POLLIN, 0}; ::poll(&waits, 1, 0) > 0;) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count <= 0) {
      if (ended != nullptr) *ended = true;
      break;
    }
    all.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return all;
}

TEST(StdioStream, CarriesPipesWithoutTouchingTheirFlags) {
  boost::asio::io_context context;
  Pipe in;
  Pipe out;
  StdioStream stdio(context.get_executor(), in.read_end.get(), out.write_end.get());
  auto [far, near] = testing::MemoryStream::make(context.get_executor());
  Pump pump(stdio, *near);
  auto pumping = start(context, pump.run());

  auto asking = start(context, receive_all(*far));
  context.restart();
  context.poll();  // it waits by now
  EXPECT_FALSE(is_non_blocking(in.read_end.get()));
  EXPECT_FALSE(is_non_blocking(out.write_end.get()));
  ASSERT_EQ(::write(in.write_end.get(), "question", 8), 8);
  in.write_end.reset();
  EXPECT_EQ(asking.wait().bytes, "question");

  const std::string answer = pattern(1 << 20, 1);
  auto sending = start(context, send_all(*far, answer));
  std::string heard;
  bool ended = false;
  testing::run_until(context, [&] {
    heard += read_now(out.read_end.get(), &ended);
    return ended;
  });
  EXPECT_TRUE(heard == answer);
  EXPECT_FALSE(pumping.wait().error);
  EXPECT_FALSE(is_non_blocking(out.read_end.get()));
}

TEST(StdioStream, NeverBlocksOnAFullPipe) {
  boost::asio::io_context context;
  Pipe in;
  Pipe out;
  StdioStream stdio(context.get_executor(), in.read_end.get(), out.write_end.get());
  const std::string much = pattern(1 << 20, 2);
  const ByteView view = as_bytes(much);
  std::size_t total = 0;
  for (;;) {
    const auto taken = stdio.write({&view, 1});
    ASSERT_TRUE(taken);
    if (*taken == 0) break;
    total += *taken;
  }
  EXPECT_GT(total, 4096U);
  EXPECT_LT(total, much.size());
  auto waiting = start(context, stdio.writable());
  context.restart();
  context.poll();
  EXPECT_FALSE(waiting.done());
  EXPECT_EQ(read_now(out.read_end.get()).size(), total);
  EXPECT_TRUE(waiting.wait());
}

TEST(StdioStream, EndsTheOutputAndKeepsItsNumber) {
  boost::asio::io_context context;
  Pipe in;
  Pipe out;
  const int number = out.write_end.release();
  StdioStream stdio(context.get_executor(), in.read_end.get(), number);
  stdio.end();
  bool ended = false;
  EXPECT_EQ(read_now(out.read_end.get(), &ended), "");
  EXPECT_TRUE(ended);
  EXPECT_EQ(::fcntl(number, F_GETFD) & ~FD_CLOEXEC, 0);  // /dev/null has its place
  const ByteView view = as_bytes("x");
  EXPECT_EQ(stdio.write({&view, 1}).error().code, Errc::closed);
  // The other direction goes on.
  ASSERT_EQ(::write(in.write_end.get(), "still", 5), 5);
  EXPECT_EQ(run(context, receive_all(stdio, 5)).bytes, "still");
  stdio.close();
  EXPECT_EQ(::write(in.write_end.get(), "x", 1), -1);  // nobody reads any more, and it is told
  ::close(number);
}

TEST(StdioStream, AReaderThatLeftIsAReset) {
  boost::asio::io_context context;
  Pipe in;
  Pipe out;
  StdioStream stdio(context.get_executor(), in.read_end.get(), out.write_end.get());
  out.read_end.reset();
  const ByteView view = as_bytes("x");
  const auto result = stdio.write({&view, 1});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::reset);
}

TEST(StdioStream, CloseEndsAWaitingRead) {
  boost::asio::io_context context;
  Pipe in;
  Pipe out;
  StdioStream stdio(context.get_executor(), in.read_end.get(), out.write_end.get());
  auto reading = start(context, stdio.read());
  context.poll();
  EXPECT_FALSE(reading.done());
  stdio.abort();
  EXPECT_EQ(reading.wait().error().code, Errc::cancelled);
}

TEST(StdioStream, CarriesFilesThatCannotBeWaitedFor) {
  boost::asio::io_context context;
  const std::string folder = ::testing::TempDir() + "culvert-stdio-" + std::to_string(::getpid());
  std::filesystem::create_directory(folder);
  const std::string content = pattern(1 << 20, 3);
  std::ofstream(folder + "/in") << content;
  {
    UniqueFd in(::open((folder + "/in").c_str(), O_RDONLY | O_CLOEXEC));
    UniqueFd out(::open((folder + "/out").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    StdioStream stdio(context.get_executor(), in.get(), out.get());
    auto [far, near] = testing::MemoryStream::make(context.get_executor());
    Pump pump(stdio, *near);
    auto pumping = start(context, pump.run());
    auto sending = start(context, send_all(*far, content));
    EXPECT_TRUE(run(context, receive_all(*far)).bytes == content);
    EXPECT_FALSE(pumping.wait().error);

    StdioStream again(context.get_executor(), in.get(), out.get());
    const ByteView all = as_bytes(content);
    const auto taken = again.write({&all, 1});
    ASSERT_TRUE(taken);
    EXPECT_LT(*taken, content.size()) << "others get their turn";
    EXPECT_TRUE(run(context, again.writable())) << "a file always takes more";
  }
  std::ifstream written(folder + "/out");
  EXPECT_TRUE(std::string(std::istreambuf_iterator<char>(written), {}) == content);
  std::filesystem::remove_all(folder);
}

TEST(StdioStream, CarriesOneSocketForBoth) {
  boost::asio::io_context context;
  std::array<int, 2> ends = {};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  UniqueFd other(ends[1]);
  UniqueFd in(ends[0]);
  UniqueFd out(::dup(ends[0]));
  StdioStream stdio(context.get_executor(), in.get(), out.get());
  ASSERT_EQ(::write(other.get(), "hello", 5), 5);
  EXPECT_EQ(run(context, receive_all(stdio, 5)).bytes, "hello");
  EXPECT_TRUE(
      run(context, send_all(stdio, "bye")));  // end() reaches the peer although `in` is the same socket
  bool ended = false;
  EXPECT_EQ(read_now(other.get(), &ended), "bye");
  EXPECT_TRUE(ended);
  EXPECT_FALSE(is_non_blocking(in.get()));
}

}  // namespace
}  // namespace culvert::relay

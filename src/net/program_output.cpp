// SPDX-License-Identifier: Apache-2.0
#include "net/program_output.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <memory>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include "net/cancelled.hpp"
#include "net/child.hpp"
#include "net/timer.hpp"
#include "net/unique_fd.hpp"
#include "net/watched_fd.hpp"

namespace culvert::net {

namespace asio = boost::asio;

namespace {

/// Shared with the handler of the timer, which may come late.
struct Program {
  Program(const asio::any_io_executor& executor, WatchedFd pipe, Child started)
      : output(std::move(pipe)), deadline(executor), child(std::move(started)) {}

  /// Ends whatever waits.
  void stop() {
    output.cancel();
    child.signal(SIGKILL);
  }

  WatchedFd output;
  Timer deadline;
  Child child;
  bool is_late = false;
};

Result<std::shared_ptr<Program>> start(const asio::any_io_executor& executor,
                                       std::vector<std::string> words) {
  const UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!nothing) return fail_errno("/dev/null", errno);
  std::array<int, 2> ends = {-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("pipe", errno);
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  // Ours alone: what the program writes to is its own, and blocks.
  if (::fcntl(ours.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno("pipe", errno);
  auto output = TRY(WatchedFd::watch(executor, std::move(ours)));
  const std::string path = words[0];
  auto child = TRY(Child::start(
      executor, {.program = path, .words = std::move(words), .input = nothing.get(), .output = theirs.get()},
      SIGKILL));
  return std::make_shared<Program>(executor, std::move(output), std::move(child));
}

/// All that it writes. Empty message: what ended the wait is for the caller to say.
asio::awaitable<Result<std::string>> read_all(std::shared_ptr<Program> program, std::size_t limit) {
  std::string text;
  for (;;) {
    std::array<char, 16384> chunk;
    const ssize_t count = ::read(program->output.get(), chunk.data(), chunk.size());
    if (count == 0) co_return text;
    if (count > 0) {
      text.append(chunk.data(), static_cast<std::size_t>(count));
      if (text.size() > limit) co_return fail(Errc::limit, fmt::format("it wrote more than {} bytes", limit));
    } else if (errno == EAGAIN) {
      CO_TRY(co_await program->output.wait_readable());
    } else if (errno != EINTR) {
      co_return fail_errno("cannot read its output", errno);
    }
  }
}

}  // namespace

asio::awaitable<Result<std::string>> output_of(std::vector<std::string> words, ProgramLimits limits) {
  auto started = start(co_await asio::this_coro::executor, std::move(words));
  if (!started) co_return std::unexpected(std::move(started).error());
  const auto program = *std::move(started);
  // Whatever way this coroutine ends, even by being destroyed, the program does not go on.
  const std::unique_ptr<Program, void (*)(Program*)> guard(program.get(),
                                                           [](Program* owned) { owned->deadline.cancel(); });
  program->deadline.expires_after(limits.time);
  program->deadline.async_wait([weak = std::weak_ptr(program)](const boost::system::error_code& error) {
    const auto one = weak.lock();
    if (error || !one) return;
    one->is_late = true;
    one->stop();
  });

  auto text = co_await read_all(program, limits.output);
  if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
  Result<int> status = 0;
  if (text) status = co_await program->child.ended();
  if (program->is_late) {
    const auto seconds = std::chrono::duration<double>(limits.time).count();
    co_return fail(Errc::timed_out, fmt::format("it did not end within {} s", seconds));
  }
  if (!text) co_return std::move(text);
  CO_TRY(judge_end(CO_TRY(std::move(status))));
  co_return std::move(text);
}

}  // namespace culvert::net

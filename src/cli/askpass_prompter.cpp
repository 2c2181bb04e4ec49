// SPDX-License-Identifier: Apache-2.0
#include "cli/askpass_prompter.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "cli/values.hpp"
#include "net/child.hpp"
#include "net/unique_fd.hpp"
#include "net/watched_fd.hpp"

namespace culvert::cli {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kMostOutput = 4096;  // as much as a line on the terminal
constexpr std::string_view kHint = "SSH_ASKPASS_PROMPT=";

// One that we inherited was meant for another question.
std::vector<std::string> environment_for(bool confirms) {
  auto variables = net::environment_without(kHint);
  if (confirms) variables.push_back(std::string(kHint) + "confirm");
  return variables;
}

// All that comes up to the end. None: the question was withdrawn. As much as there is room for: too much.
relay::Task<std::optional<SecretBytes>> read_all(net::WatchedFd& from) {
  SecretBytes output(kMostOutput);
  std::size_t size = 0;
  while (size < output.size()) {
    const ssize_t got = ::read(from.get(), output.data() + size, output.size() - size);
    if (got > 0) {
      size += static_cast<std::size_t>(got);
    } else if (got < 0 && errno == EAGAIN) {
      if (!co_await from.wait_readable()) co_return std::nullopt;
    } else if (got == 0 || errno != EINTR) {
      break;
    }
  }
  co_return SecretBytes(output.view().first(size));
}

}  // namespace

relay::Task<Result<SecretBytes>> AskpassPrompter::ask(std::string text, bool) {
  return run(std::move(text), false);
}

relay::Task<bool> AskpassPrompter::confirm(std::string text) {
  const auto answer = co_await run(std::move(text), true);
  if (!answer) {
    if (answer.error().code != Errc::cancelled) log(LogLevel::error, "{}", answer.error().message);
    co_return false;
  }
  // A program that does not know the hint may have asked for a word.
  co_return answer->empty() || equal_ignoring_case(answer->text(), "yes");
}

relay::Task<Result<SecretBytes>> AskpassPrompter::run(std::string text, bool confirms) {
  const auto executor = co_await asio::this_coro::executor;
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) co_return fail_errno("cannot make a pipe", errno);
  net::UniqueFd ours(ends[0]), theirs(ends[1]);
  const net::UniqueFd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::string name = printable(program_);
  log(LogLevel::debug, "asking by the askpass program {}", name);
  const auto child = net::Child::start(executor,
                                       {.program = program_,
                                        .words = {program_, std::move(text)},
                                        .input = nothing.get(),
                                        .output = theirs.get(),
                                        .environment = environment_for(confirms),
                                        .is_apart = true},
                                       SIGTERM);
  if (!child) {
    can_start_ = false;
    co_return fail(Errc::usage, fmt::format("cannot run the askpass program {}: {}: install it, or name "
                                            "another one in SSH_ASKPASS",
                                            name, child.error().message));
  }
  theirs.reset();
  ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
  auto from = CO_TRY(net::WatchedFd::watch(executor, std::move(ours)));
  const auto output = co_await read_all(from);
  if (!output) co_return fail(Errc::cancelled, "the question was withdrawn");
  if (output->size() == kMostOutput)
    co_return fail(Errc::limit, fmt::format("the askpass program {} prints too much", name));
  const auto status = co_await child->ended();
  if (!status) co_return fail(Errc::cancelled, "the question was withdrawn");
  if (*status != 0) {
    co_return fail(Errc::cancelled, fmt::format("the askpass program {} gave no answer: it {}", name,
                                                net::text_of_end(*status)));
  }
  co_return SecretBytes(as_bytes(output->text().substr(0, output->text().find_first_of("\r\n"))));
}

}  // namespace culvert::cli

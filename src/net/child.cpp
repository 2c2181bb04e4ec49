// SPDX-License-Identifier: Apache-2.0
#include "net/child.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

#include <unistd.h>

#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include "net/as_tuple.hpp"
#include "net/timer.hpp"
#include "net/unique_fd.hpp"
#include "net/watched_fd.hpp"

namespace culvert::net {

namespace asio = boost::asio;

// Its handler keeps it until the program has been waited for: till then the number is of no other process.
struct Child::Process : std::enable_shared_from_this<Process> {
  Process(const asio::any_io_executor& executor, pid_t number, bool is_apart, WatchedFd pidfd)
      : pid(number), target(is_apart ? -number : number), end(std::move(pidfd)), known(executor) {}

  void watch() {
    end.async_wait([self = shared_from_this()](bool) {
      int state = 0;
      const pid_t ended = ::waitpid(self->pid, &state, WNOHANG);
      if (ended == 0) return;
      self->status = ended == self->pid ? state : kUnknownStatus;
      self->end.close();
      self->known.cancel();
    });
  }

  const pid_t pid;
  const pid_t target;  // of signals: itself, or its group
  WatchedFd end;
  Timer known;  // never expires; cancelled when there is a status
  std::optional<int> status;
};

namespace {

Result<WatchedFd> watch_end(const asio::any_io_executor& executor, pid_t pid) {
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return fail(Errc::system, std::strerror(errno), errno);
  return WatchedFd::watch(executor, std::move(pidfd));
}

}  // namespace

Result<Child> Child::start(const asio::any_io_executor& executor, Spawn what, int farewell) {
  const bool is_apart = what.is_apart;
  const pid_t pid = TRY(spawn(std::move(what)));
  auto pidfd = watch_end(executor, pid);
  if (!pidfd) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return std::unexpected(std::move(pidfd).error());
  }
  auto process = std::make_shared<Process>(executor, pid, is_apart, *std::move(pidfd));
  process->watch();
  return Child(std::move(process), farewell);
}

Child::~Child() {
  if (process_ != nullptr) signal(farewell_);
}

void Child::signal(int number) const {
  if (!process_->status) ::kill(process_->target, number);
}

// The process is its own: this object may go meanwhile.
asio::awaitable<Result<int>> Child::ended() const {
  return [](std::shared_ptr<Process> process) -> asio::awaitable<Result<int>> {
    if (!process->status) (void)co_await process->known.async_wait(kTuple);
    if (!process->status) co_return cancelled();
    co_return *process->status;
  }(process_);
}

// Who waits is woken by the end or by the timer, whichever comes first: the other one's handler may come
// late.
asio::awaitable<Result<int>> Child::ended_within(Duration patience) const {
  return [](std::shared_ptr<Process> process, Duration left) -> asio::awaitable<Result<int>> {
    const auto give_up = std::make_shared<asio::cancellation_signal>();
    Timer deadline(process->known.get_executor(), left);
    deadline.async_wait([give_up](const boost::system::error_code& error) {
      if (!error) give_up->emit(asio::cancellation_type::all);
    });
    if (!process->status)
      (void)co_await process->known.async_wait(asio::bind_cancellation_slot(give_up->slot(), kTuple));
    if (!process->status) co_return fail(Errc::timed_out, "it has not ended");
    co_return *process->status;
  }(process_, patience);
}

std::string text_of_end(int status) {
  if (status == Child::kUnknownStatus) return "ended in an unknown way";
  if (WIFSIGNALED(status)) return fmt::format("was killed by signal {}", WTERMSIG(status));
  return fmt::format("exited with status {}", WEXITSTATUS(status));
}

Result<void> judge_end(int status) {
  if (status == 0) return {};
  return fail(Errc::closed, "it " + text_of_end(status));
}

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#include "net/child_process.hpp"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace culvert::net {

namespace asio = boost::asio;

Result<std::shared_ptr<ChildProcess>> ChildProcess::watch(const asio::any_io_executor& executor, pid_t pid,
                                                          std::function<void()> on_end) {
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) return fail_errno("cannot watch it", errno);
  auto process = std::make_shared<ChildProcess>(executor, pid, pidfd, std::move(on_end));
  process->wait();
  return process;
}

ChildProcess::ChildProcess(const asio::any_io_executor& executor, pid_t pid, int pidfd,
                           std::function<void()> on_end)
    : pid_(pid), ended_(executor, pidfd), on_end_(std::move(on_end)) {}

void ChildProcess::wait() {
  ended_.async_wait(asio::posix::stream_descriptor::wait_read,
                    [self = shared_from_this()](const boost::system::error_code&) {
                      int status = 0;
                      const pid_t ended = ::waitpid(self->pid_, &status, WNOHANG);
                      if (ended == 0) return;
                      self->status_ = ended == self->pid_ ? status : kUnknownStatus;
                      self->ended_.close();
                      if (const auto on_end = std::exchange(self->on_end_, {})) on_end();
                    });
}

void ChildProcess::signal(int number) {
  if (ended_.is_open()) (void)::syscall(SYS_pidfd_send_signal, ended_.native_handle(), number, nullptr, 0);
}

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#include "net/pipe_pool.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>
#include <vector>

namespace culvert::net {
namespace {

constexpr std::size_t kSparePipes = 4;  // of a thread

std::atomic<std::size_t> pipes_made = 0;

Transferred moved(ssize_t count) {
  if (count >= 0) return {static_cast<std::size_t>(count), 0};
  return {0, errno};
}

Transferred splice_some(int from, int to, std::size_t most) {
  for (;;) {
    const Transferred done =
        moved(::splice(from, nullptr, to, nullptr, most, SPLICE_F_NONBLOCK | SPLICE_F_MOVE));
    if (done.error != EINTR) return done;
  }
}

}  // namespace

struct Pipe::Spares {
  std::vector<Ends> ends;
  ~Spares() { pipes_made -= ends.size(); }
};

Pipe::Spares& Pipe::spares() {
  thread_local Spares spares;
  return spares;
}

std::optional<Pipe> Pipe::take() {
  auto& kept = spares().ends;
  if (!kept.empty()) {
    Pipe pipe(std::move(kept.back()));
    kept.pop_back();
    return pipe;
  }
  if (pipes_made.fetch_add(1) >= kMostPipes) {
    --pipes_made;
    return std::nullopt;
  }
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    --pipes_made;
    return std::nullopt;
  }
  Ends owned{UniqueFd(ends[0]), UniqueFd(ends[1])};
  // A small one would be slower than copying.
  if (::fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(kPipeSize)) < 0) {
    --pipes_made;
    return std::nullopt;
  }
  return Pipe(std::move(owned));
}

Pipe::~Pipe() {
  if (!ends_.in) return;  // moved from
  auto& kept = spares().ends;
  if (size_ == 0 && kept.size() < kSparePipes) {
    kept.push_back(std::move(ends_));
  } else {
    --pipes_made;
  }
}

Transferred Pipe::fill_from(StreamSocket& socket) {
  const auto done = splice_some(socket.native_handle(), ends_.in.get(), kPipeSize);
  if (done.bytes > 0) socket.has_read(done.bytes);
  socket.in_bulk();
  if (done.would_block() && size_ == 0) socket.met_not_now(StreamSocket::Direction::in);
  size_ += done.bytes;
  return done;
}

Transferred Pipe::drain_to(StreamSocket& socket) {
  auto done = splice_some(ends_.out.get(), socket.native_handle(), size_);
  socket.in_bulk();
  if (done.would_block()) socket.met_not_now(StreamSocket::Direction::out);
  // A reset that comes while splice() is at work is reported to nobody: it returns what it had moved, and the
  // next call finds a socket that takes no more. A peer that had closed in order has sent its end.
  if (done.error == EPIPE && was_cut_short_ && !socket.has_sent_end()) done.error = ECONNRESET;
  size_ -= done.bytes;
  was_cut_short_ = done.bytes > 0 && size_ > 0;
  return done;
}

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>

#include "net/stream_socket.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

/// A pipe between two sockets: bytes pass from one to the other inside the kernel, without being copied.
/// Where the kernel gives a full-sized pipe (kPipeSize) it holds at most that much.
class Pipe {
 public:
  /// One of the thread's that nobody uses, or a new one; none if there are enough of them: the kernel lets a
  /// user without CAP_SYS_RESOURCE have few large ones (pipe(7), pipe-user-pages-soft).
  [[nodiscard]] static std::optional<Pipe> take();
  Pipe(Pipe&&) noexcept = default;
  Pipe& operator=(Pipe&&) = delete;
  ~Pipe();  ///< an empty one is kept for the next who takes one

  /// Moves what `socket` has, as far as there is room. As StreamSocket::read(): 0 without an error is the
  /// end.
  [[nodiscard]] Transferred fill_from(StreamSocket& socket);
  /// Moves what is inside to `socket`, as StreamSocket::write().
  [[nodiscard]] Transferred drain_to(StreamSocket& socket);

  [[nodiscard]] std::size_t size() const { return size_; }  ///< bytes inside

 private:
  struct Ends {
    UniqueFd out, in;
  };
  struct Spares;
  explicit Pipe(Ends ends) : ends_(std::move(ends)) {}
  static Spares& spares();

  Ends ends_;
  std::size_t size_ = 0;
  bool was_cut_short_ = false;  ///< the last drain_to() took a part
};

inline constexpr std::size_t kPipeSize = std::size_t{1} << 20;
/// At most so many in the whole process: half of what an unprivileged user may have.
inline constexpr std::size_t kMostPipes = 32;

}  // namespace culvert::net

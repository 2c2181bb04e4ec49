// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "base/bytes.hpp"
#include "engine/relay/stream.hpp"
#include "net/stream_socket.hpp"

namespace culvert::connection {

/// What the bytes of an SSH session travel over: a socket, or a stream that another session carries. Owned by
/// the session's driver, which is the only one to use it. All calls on the thread of its executor.
class Carrier {
 public:
  virtual ~Carrier() = default;  ///< closes; nothing waits on it any more
  [[nodiscard]] virtual boost::asio::any_io_executor executor() = 0;

  /// Takes or gives what it can without waiting; `would_block()` if that is nothing. Both views not empty.
  [[nodiscard]] virtual net::Transferred read(MutableBytes into) = 0;
  [[nodiscard]] virtual net::Transferred write(ByteView bytes) = 0;

  /// Returns when read() would do something, or after cancel().
  [[nodiscard]] virtual relay::Task<void> readable() = 0;
  /// Calls `go_on` once, from the executor, when write() would do something, or after cancel(). One at a
  /// time.
  virtual void when_writable(std::function<void()> go_on) = 0;
  /// Whoever waits goes on, soon.
  virtual void cancel() = 0;
  /// In order: what write() took still leaves.
  virtual void close() = 0;

  /// readable() and the executor's own watch need not be woken for less; a hint, for as long as nobody waits
  /// in readable(). 1: for each byte.
  virtual void wake_at(std::size_t) {}
  /// Whether bytes arrive while nobody waits in readable(): then a driver may sleep instead.
  [[nodiscard]] virtual bool fills_by_itself() const = 0;
  /// At most about so many bytes may wait below us; a hint.
  virtual void limit_unsent(std::size_t) {}
  /// Whether the address that it was connected from is still this machine's.
  [[nodiscard]] virtual bool has_its_address() const { return true; }
  /// The peer waits for our acknowledgement before it sends its next small packet; a hint, after a read.
  virtual void acknowledge_now() {}
};

}  // namespace culvert::connection

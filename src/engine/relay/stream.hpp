// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <boost/asio/awaitable.hpp>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/readiness.hpp"

namespace culvert::relay {

class SocketStream;

template <class T>
using Task = boost::asio::awaitable<T>;

/// Two directions that end separately. All calls on the thread (io_context) that owns the stream. One reader
/// and one writer at a time; they may be different coroutines.
///
/// Reading lends instead of copying: `read()` returns views of memory that the stream (or all streams of the
/// thread together) reuse, so the reader hands them on before it next suspends:
///
///     auto lent = co_await from.read();                     // error, or bytes, or none at the end
///     std::size_t taken = to.write(*lent) ...; from.consume(taken);
///     if (not all) { from.keep(); co_await to.writable(); } // keep(): what was not consumed is copied
///     aside, and
///                                                           // the next read() lends it first
class Stream {
 public:
  virtual ~Stream() = default;  ///< closes; an unfinished direction is aborted

  /// Waits for bytes, the end, or a failure. An empty list: the peer sends no more (every further read says
  /// so too). Errc::reset if the peer reset, Errc::cancelled after close() or abort() here.
  [[nodiscard]] virtual Task<Result<std::span<const ByteView>>> read() = 0;
  /// Whether read() may return without waiting: false lets whoever reads go on, for others get their turn
  /// then.
  [[nodiscard]] virtual bool may_read_at_once() const { return true; }
  /// The first `n` bytes of what read() lent have reached their destination: the sender may send that much
  /// more. At most once for each read().
  virtual void consume(std::size_t n) = 0;
  /// Copies aside what was lent and not consumed. Call before suspending with such a rest.
  virtual void keep() = 0;

  /// Writes what fits without waiting, in one system call or packet batch if possible; returns how much (0:
  /// nothing now, wait with writable()). Errors: Errc::reset, Errc::closed, Errc::system.
  [[nodiscard]] virtual Result<std::size_t> write(std::span<const ByteView> bytes) = 0;
  /// Waits until write() would take something, or fails as write() would.
  [[nodiscard]] virtual Task<Result<void>> writable() = 0;

  /// Ends my direction (FIN, EOF) behind all that write() took. The other direction goes on.
  virtual void end() = 0;
  /// Ends both, in order: what write() took is still sent. read() and writable() return Errc::cancelled.
  virtual void close() = 0;
  /// Ends both at once, so that the peer sees a reset where there is such a thing. read() and writable()
  /// return Errc::cancelled.
  virtual void abort() = 0;

  /// Who wants to know that the peer has closed the stream: it takes no more, and what read() has left is all
  /// that it said.
  class CloseListener {
   public:
    /// Once. May close or abort the stream, and must not destroy it.
    virtual void peer_closed() = 0;

   protected:
    ~CloseListener() = default;
  };
  /// Tells it then, or at once if that was before. Null: nobody any more. A stream that cannot know, as a
  /// socket, which sees no more than the end, tells nobody.
  virtual void set_close_listener(CloseListener* /*listener*/) {}

  /// Tells it of a failure that nobody waits for: a reset while what was read waits for others. A stream that
  /// only its reads tell of it, as a channel, tells nobody. Null: nobody any more.
  virtual void set_failure_listener(net::Readiness::FailureListener* /*listener*/) {}
  /// What failed then: errno, or 0 if that is not known. Once.
  [[nodiscard]] virtual int take_failure() { return 0; }

  /// The stream that is a kernel socket and no more, if this one only passes its bytes on: they may then go
  /// without us (splice). None for channels, for streams that count or hold bytes on their way, and after
  /// close() or abort().
  [[nodiscard]] virtual SocketStream* kernel_socket() { return nullptr; }

  /// Bytes that came or are to go wait here for a limit, not for a peer: it is no silence of theirs.
  [[nodiscard]] virtual bool is_held_back() const { return false; }
  /// Of what write() took, so many bytes have not arrived at the peer yet, as far as anybody can tell.
  [[nodiscard]] virtual std::size_t unsent() const { return 0; }

  /// Keeps `what` until this stream is destroyed: who must know of its end need not stand in the way of its
  /// bytes.
  void hold(std::shared_ptr<void> what) {
    if (held_) what = std::make_shared<std::pair<std::shared_ptr<void>, std::shared_ptr<void>>>(held_, what);
    held_ = std::move(what);
  }

 private:
  std::shared_ptr<void> held_;
};

}  // namespace culvert::relay

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "engine/relay/lent.hpp"
#include "engine/relay/stream.hpp"
#include "net/stream_socket.hpp"

namespace culvert::relay {

/// A stream over a connected TCP or Unix socket. read() and writable() must have returned before it is
/// destroyed (close() and abort() make them return). At most kScratchSize bytes wait inside; none while it is
/// idle.
class SocketStream final : public Stream {
 public:
  /// Whether bytes may be there already: a read is tried before it waits.
  enum class Expects : bool { nothing, bytes };

  /// `socket` is connected and non-blocking (net::adopt). Whoever was dialed a moment ago has said nothing
  /// yet.
  explicit SocketStream(net::StreamSocket socket, Expects expects = Expects::bytes)
      : socket_(std::move(socket)), is_likely_(expects == Expects::bytes) {}
  ~SocketStream() override;

  [[nodiscard]] Task<Result<std::span<const ByteView>>> read() override;
  void consume(std::size_t n) override { lent_.consume(n); }
  void keep() override;
  [[nodiscard]] Result<std::size_t> write(std::span<const ByteView> bytes) override;
  [[nodiscard]] Task<Result<void>> writable() override;
  void end() override;
  /// Lingers in the background for up to net::kLingerTime where a plain close could cut off what write()
  /// took.
  void close() override;
  /// On a Unix socket, which has no reset, the peer sees an end.
  void abort() override;
  void set_failure_listener(net::Readiness::FailureListener* listener) override {
    socket_.set_failure_listener(listener);
  }
  [[nodiscard]] int take_failure() override { return socket_.take_error(); }
  [[nodiscard]] SocketStream* kernel_socket() override;
  [[nodiscard]] std::size_t unsent() const override;

  /// read() without waiting: none where that would wait.
  [[nodiscard]] std::optional<Result<std::span<const ByteView>>> try_read();
  /// What to wait on, and what to splice from and to. Not to be closed.
  [[nodiscard]] net::StreamSocket& socket() { return socket_; }

 private:
  net::StreamSocket socket_;
  Lent lent_;
  std::uint32_t read_size_ =
      64 * 1024;    ///< grows while reads are full and taken whole, shrinks to what is taken
  bool is_likely_;  ///< a read is worth trying before waiting
  bool read_ended_ = false;
  bool write_ended_ = false;
  bool closed_ = false;
};

}  // namespace culvert::relay

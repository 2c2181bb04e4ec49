// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include <boost/asio/any_io_executor.hpp>

#include "engine/relay/lent.hpp"
#include "engine/relay/poll_wait.hpp"
#include "engine/relay/stream.hpp"

namespace culvert::relay {

/// Standard input and output as one stream (-W): pipes, sockets, terminals or files. Their O_NONBLOCK is left
/// as it is, since other programs share it; so a write takes no more at once than surely fits. read() and
/// writable() must have returned before it is destroyed.
///
/// end() closes the output (and shuts it down, if it is a socket), close() and abort() both descriptors:
/// /dev/null takes their place, so that no file opened later gets their number. A pipe that nobody reads any
/// more is Errc::reset. The process ignores SIGPIPE from the first StdioStream on.
class StdioStream final : public Stream {
 public:
  explicit StdioStream(const boost::asio::any_io_executor& executor, int input = 0, int output = 1);
  ~StdioStream() override;

  [[nodiscard]] Task<Result<std::span<const ByteView>>> read() override;
  void consume(std::size_t n) override { lent_.consume(n); }
  void keep() override { (void)lent_.keep(); }
  [[nodiscard]] Result<std::size_t> write(std::span<const ByteView> bytes) override;
  [[nodiscard]] Task<Result<void>> writable() override;
  void end() override;
  void close() override;
  void abort() override { close(); }

 private:
  [[nodiscard]] Result<std::size_t> write_some(ByteView bytes);

  const int input_;
  const int output_;
  PollWait readable_;
  PollWait writable_;
  Lent lent_;
  bool output_is_socket_ = false;
  std::size_t sure_to_fit_ = 0;  ///< what a write takes without blocking once poll() says writable
  bool read_ended_ = false;
  bool write_ended_ = false;
  bool closed_ = false;
};

}  // namespace culvert::relay

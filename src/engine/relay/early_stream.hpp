// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "engine/relay/stream.hpp"

namespace culvert::relay {

/// A stream of which something was read already that whoever gets it must read again: lent first, in front of
/// what the stream itself has. After that it is the stream.
class EarlyStream final : public Stream {
 public:
  /// `early` was consumed from `inner`, and is not empty.
  EarlyStream(std::unique_ptr<Stream> inner, Bytes early);

  [[nodiscard]] Task<Result<std::span<const ByteView>>> read() override;
  [[nodiscard]] bool may_read_at_once() const override { return has_early() || inner_->may_read_at_once(); }
  void consume(std::size_t n) override;
  void keep() override;

  [[nodiscard]] Result<std::size_t> write(std::span<const ByteView> bytes) override {
    return inner_->write(bytes);
  }
  [[nodiscard]] Task<Result<void>> writable() override { return inner_->writable(); }

  void end() override { inner_->end(); }
  void close() override;
  void abort() override;
  void set_close_listener(CloseListener* listener) override { inner_->set_close_listener(listener); }
  void set_failure_listener(net::Readiness::FailureListener* listener) override {
    inner_->set_failure_listener(listener);
  }
  [[nodiscard]] int take_failure() override { return inner_->take_failure(); }
  [[nodiscard]] bool is_held_back() const override { return inner_->is_held_back(); }
  [[nodiscard]] std::size_t unsent() const override { return inner_->unsent(); }
  /// None while there is something that does not come from it.
  [[nodiscard]] SocketStream* kernel_socket() override {
    return has_early() ? nullptr : inner_->kernel_socket();
  }

 private:
  [[nodiscard]] bool has_early() const { return begin_ < early_.size(); }
  [[nodiscard]] Task<Result<std::span<const ByteView>>> lend_early();

  const std::unique_ptr<Stream> inner_;
  Bytes early_;
  std::size_t begin_ = 0;
  ByteView lent_;
  bool closed_ = false;
};

}  // namespace culvert::relay

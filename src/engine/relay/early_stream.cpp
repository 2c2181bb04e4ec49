// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/early_stream.hpp"

#include "base/assert.hpp"

namespace culvert::relay {

EarlyStream::EarlyStream(std::unique_ptr<Stream> inner, Bytes early)
    : inner_(std::move(inner)), early_(std::move(early)) {
  CULVERT_ASSERT(has_early());
}

Task<Result<std::span<const ByteView>>> EarlyStream::read() {
  if (has_early() && !closed_) return lend_early();
  early_ = Bytes();
  begin_ = 0;
  return inner_->read();
}

Task<Result<std::span<const ByteView>>> EarlyStream::lend_early() {
  lent_ = ByteView(early_).subspan(begin_);
  co_return std::span<const ByteView>(&lent_, 1);
}

// What was lent is of one kind: the stream itself is read when nothing early is left.
void EarlyStream::consume(std::size_t n) {
  if (!has_early()) return inner_->consume(n);
  CULVERT_ASSERT(n <= early_.size() - begin_);
  begin_ += n;
}

void EarlyStream::keep() {
  if (!has_early()) inner_->keep();
}

void EarlyStream::close() {
  closed_ = true;
  inner_->close();
}

void EarlyStream::abort() {
  closed_ = true;
  inner_->abort();
}

}  // namespace culvert::relay

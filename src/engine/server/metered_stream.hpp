// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "engine/relay/stream.hpp"
#include "engine/server/account.hpp"
#include "engine/server/names.hpp"

namespace culvert::server {

/// One end of a stream that a client has carried: counts what passes, keeps to the rates of its user and key,
/// and fails when a quota or a time is used up. Says in one line how it ended: the event
/// "stream_ended".
class MeteredStream final : public relay::Stream {
 public:
  /// `inner`: the end that is not the client's; of a forwarded stream, the client's.
  MeteredStream(boost::asio::any_io_executor executor, std::unique_ptr<relay::Stream> inner,
                std::shared_ptr<const Permit> permit, StreamName name);
  ~MeteredStream() override;
  MeteredStream(const MeteredStream&) = delete;
  MeteredStream& operator=(const MeteredStream&) = delete;

  [[nodiscard]] relay::Task<Result<std::span<const ByteView>>> read() override;
  [[nodiscard]] bool may_read_at_once() const override { return inner_->may_read_at_once(); }
  void consume(std::size_t n) override;
  void keep() override { inner_->keep(); }
  [[nodiscard]] Result<std::size_t> write(std::span<const ByteView> bytes) override;
  [[nodiscard]] relay::Task<Result<void>> writable() override;
  void end() override { inner_->end(); }
  void close() override;
  void abort() override;

 private:
  /// From the client, or to it.
  struct Way {
    Bucket Usage::* bucket;
    std::optional<std::uint64_t> files::Limits::* rate;
    std::uint64_t passed = 0;
  };

  [[nodiscard]] std::size_t take(const Way& way, std::size_t wanted);
  void give_back(const Way& way, std::size_t bytes);
  void count(Way& way, std::size_t bytes);
  [[nodiscard]] relay::Task<Result<void>> pause();

  const boost::asio::any_io_executor executor_;
  const std::unique_ptr<relay::Stream> inner_;
  const std::shared_ptr<const Permit> permit_;
  const StreamName name_;
  const Instant start_ = monotonic_now();
  const bool is_limited_;
  Way read_, written_;
  std::vector<ByteView> lent_part_, written_part_;  // as much as may pass
  bool throttled_ = false;                          // the last write took less because of a rate
  bool closed_ = false;
};

}  // namespace culvert::server

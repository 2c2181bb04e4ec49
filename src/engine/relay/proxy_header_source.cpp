// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/proxy_header_source.hpp"

#include <optional>
#include <string>
#include <utility>

#include "engine/relay/heard_pending.hpp"
#include "engine/relay/proxy_header.hpp"
#include "proto/proxyproto/decoder.hpp"

namespace culvert::relay {

namespace {

using proxyproto::Decoder;

bool is_trusted(const Endpoint& peer, const ProxyHeaderSourceOptions& options) {
  if (std::holds_alternative<UnixPath>(peer)) return options.trusts_unix_sockets;
  return is_trusted_proxy(options.trusted, peer);
}

class HeaderHearing final : public Hearing {
 public:
  explicit HeaderHearing(Pending& pending)
      : destination_(pending.destination()), visit_(KnownVisit::of(pending)), stream_(pending.accept()) {}

  [[nodiscard]] Task<Result<std::unique_ptr<Pending>>> hear() override {
    Decoder decoder;
    while (decoder.state() == Decoder::State::reading) {
      auto lent = co_await stream_->read();
      if (!lent) co_return std::unexpected(std::move(lent).error());
      if (lent->empty()) {
        stream_->close();
        co_return fail(Errc::closed, "it ended without a PROXY protocol header");
      }
      std::size_t size = 0, taken = 0;
      for (const ByteView view : *lent) {
        size += view.size();
        taken += decoder.feed(view);
      }
      stream_->consume(taken);
      if (taken < size) stream_->keep();
    }
    if (decoder.state() == Decoder::State::malformed) {
      stream_->abort();
      co_return fail(Errc::malformed, std::string(decoder.why()));
    }
    co_return std::make_unique<HeardPending>(std::move(stream_), destination_,
                                             visit_in(decoder.header()).value_or(visit_));
  }
  [[nodiscard]] Stream& stream() override { return *stream_; }
  [[nodiscard]] const Endpoint& origin() const override { return visit_.origin(); }

 private:
  const std::optional<Endpoint> destination_;
  const KnownVisit visit_;
  std::unique_ptr<Stream> stream_;
};

}  // namespace

ProxyHeaderSource::ProxyHeaderSource(std::unique_ptr<Source> inner, ProxyHeaderSourceOptions options)
    : HearingSource(std::move(inner),
                    [options](Pending& pending) -> Result<std::unique_ptr<Hearing>> {
                      if (!is_trusted(pending.origin(), options))
                        return culvert::fail(Errc::denied, "no PROXY protocol header is taken from there");
                      return std::make_unique<HeaderHearing>(pending);
                    },
                    {.patience = options.patience, .limit = options.limit, .level = LogLevel::notice}) {}

}  // namespace culvert::relay

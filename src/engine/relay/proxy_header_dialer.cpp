// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/proxy_header_dialer.hpp"

#include <optional>
#include <utility>

#include <boost/asio/this_coro.hpp>

#include "engine/relay/proxy_header.hpp"
#include "engine/relay/stream_deadline.hpp"
#include "net/cancelled.hpp"

namespace culvert::relay {

namespace {

// A fresh stream takes it at once; one whose window is empty may have to be waited for.
Task<Result<void>> send(Stream& stream, ByteView bytes, Duration time) {
  std::optional<StreamDeadline> deadline;
  for (;;) {
    bytes = bytes.subspan(CO_TRY(stream.write({&bytes, 1})));
    if (bytes.empty()) co_return Result<void>();
    if (!deadline) deadline.emplace(co_await boost::asio::this_coro::executor, stream, time);
    if (auto ready = co_await stream.writable(); !ready) co_return ready;
  }
}

}  // namespace

Task<Dialed> ProxyHeaderDialer::dial(const Endpoint& destination, const Visit& visit) {
  auto dialed = co_await inner_.dial(destination, visit);
  if (!dialed) co_return dialed;
  const auto header = header_of(visit);
  const Bytes bytes = version_ == ProxyHeaderVersion::v1 ? encode_v1(header) : encode_v2(header);
  if (const auto sent = co_await send(**dialed, bytes, patience_); !sent) {
    const bool given_up = net::is_cancelled(co_await boost::asio::this_coro::cancellation_state);
    const bool late = sent.error().code == Errc::cancelled && !given_up;
    co_return std::unexpected(
        DialError{given_up ? Refusal::closed
                  : late   ? Refusal::timed_out
                           : Refusal::unreachable,
                  "it takes no PROXY protocol header: " + (late ? "timed out" : sent.error().message)});
  }
  co_return dialed;
}

}  // namespace culvert::relay

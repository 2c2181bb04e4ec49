// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/sni_source.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "engine/relay/early_stream.hpp"
#include "engine/relay/heard_pending.hpp"
#include "proto/tls/client_hello.hpp"

namespace culvert::relay {

namespace {

class SniHearing final : public Hearing {
 public:
  SniHearing(Pending& pending, std::shared_ptr<const SniRoutes> routes)
      : routes_(std::move(routes)), visit_(KnownVisit::of(pending)), stream_(pending.accept()) {}

  [[nodiscard]] Task<Result<std::unique_ptr<Pending>>> hear() override {
    tls::ClientHello hello;
    Bytes early;  // what had to be consumed, so that more could be read
    for (;;) {
      auto lent = co_await stream_->read();
      if (!lent) co_return std::unexpected(std::move(lent).error());
      if (lent->empty()) {
        stream_->close();
        co_return fail(Errc::closed, "it ended without a TLS ClientHello");
      }
      for (const ByteView view : *lent) hello.feed(view);
      if (hello.state() != tls::ClientHello::State::reading) break;
      const std::size_t before = early.size();
      for (const ByteView view : *lent) early.insert(early.end(), view.begin(), view.end());
      stream_->consume(early.size() - before);
    }
    if (hello.state() != tls::ClientHello::State::done) co_return refuse(hello);
    const auto* route = routes_->find(hello.server_name());
    if (route == nullptr) co_return refuse(hello);
    stream_->keep();
    if (!early.empty()) stream_ = std::make_unique<EarlyStream>(std::move(stream_), std::move(early));
    co_return std::make_unique<HeardPending>(std::move(stream_), route->destination, visit_, route->targets);
  }
  [[nodiscard]] Stream& stream() override { return *stream_; }
  [[nodiscard]] const Endpoint& origin() const override { return visit_.origin(); }

 private:
  std::unexpected<Error> refuse(const tls::ClientHello& hello) {
    switch (hello.state()) {
      case tls::ClientHello::State::reading:
      case tls::ClientHello::State::no_tls:
        stream_->abort();
        return fail(Errc::malformed, std::string(hello.why()));
      case tls::ClientHello::State::malformed:
        alert(tls::Alert::decode_error);
        return fail(Errc::malformed, std::string(hello.why()));
      case tls::ClientHello::State::done:
        break;
    }
    if (hello.no_server_name()) {
      alert(tls::Alert::unrecognized_name);
      return fail(Errc::denied, fmt::format("it asks for a server name that is none: \"{}\"",
                                            printable(*hello.no_server_name(), 100)));
    }
    if (!hello.server_name()) {
      alert(tls::Alert::missing_extension);
      return fail(Errc::denied, "it asks for no server name");
    }
    alert(tls::Alert::unrecognized_name);
    return fail(Errc::denied, fmt::format("no target for the server name {}", *hello.server_name()));
  }

  // In order, so that it is read. A stream that takes nothing now goes without.
  void alert(tls::Alert alert) {
    const auto record = tls::fatal_alert(alert);
    const ByteView bytes(record);
    const auto taken = stream_->write({&bytes, 1});
    taken == record.size() ? stream_->close() : stream_->abort();
  }

  const std::shared_ptr<const SniRoutes> routes_;
  const KnownVisit visit_;
  std::unique_ptr<Stream> stream_;
};

}  // namespace

Result<void> SniRoutes::add(std::string_view name, Route route) {
  std::string key = lower(name);
  const bool is_pattern = key.starts_with('*');
  if (is_pattern) key.erase(0, 1);
  const bool is_right = is_pattern
                            ? key.empty() || (key.starts_with('.') && tls::is_server_name(key.substr(1)))
                            : tls::is_server_name(key);
  if (!is_right) {
    return fail(Errc::usage, fmt::format("\"{}\" is no server name like db.example.org, *.example.org or *",
                                         printable(name)));
  }
  if (!routes_.emplace(std::move(key), std::move(route)).second) {
    return fail(Errc::usage, fmt::format("the server name {} is given twice: several targets stand together, "
                                         "with commas between them",
                                         name));
  }
  return {};
}

const SniRoutes::Route* SniRoutes::find(const std::optional<std::string>& name) const {
  const auto at = [this](std::string_view key) {
    const auto found = routes_.find(key);
    return found == routes_.end() ? nullptr : &found->second;
  };
  if (!name) return at("");
  if (const auto* route = at(*name)) return route;
  for (std::string_view rest = *name; !rest.empty();) {
    const std::size_t dot = rest.find('.', 1);
    rest = dot == rest.npos ? std::string_view() : rest.substr(dot);
    if (const auto* route = at(rest)) return route;
  }
  return nullptr;
}

SniSource::SniSource(std::unique_ptr<Source> inner, SniRoutes routes, SniSourceOptions options)
    : HearingSource(std::move(inner),
                    [routes = std::make_shared<const SniRoutes>(std::move(routes))](
                        Pending& pending) -> Result<std::unique_ptr<Hearing>> {
                      return std::make_unique<SniHearing>(pending, routes);
                    },
                    {.patience = options.patience, .limit = options.limit, .level = LogLevel::notice}) {}

}  // namespace culvert::relay

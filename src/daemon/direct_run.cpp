// SPDX-License-Identifier: Apache-2.0
#include "daemon/direct_run.hpp"

#include <utility>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/open_listeners.hpp"
#include "engine/proxy/accounts_file.hpp"
#include "engine/proxy/front.hpp"
#include "engine/relay/listener_source.hpp"
#include "files/access_rules.hpp"
#include "net/addresses.hpp"

namespace culvert::daemon {
namespace {

relay::Endpoint moved(relay::Endpoint endpoint, std::uint16_t offset) {
  if (auto* place = std::get_if<relay::HostPort>(&endpoint))
    place->port = static_cast<std::uint16_t>(place->port + offset);
  return endpoint;
}

// "127.0.0.1:8000-8010"
std::string range_text(std::string first, const relay::Endpoint& endpoint, std::uint16_t ports) {
  const auto* place = std::get_if<relay::HostPort>(&endpoint);
  return place == nullptr || ports == 1 ? first : fmt::format("{}-{}", first, place->port + ports - 1);
}

std::string targets_text(const DirectForward& forward) {
  std::string text;
  for (const relay::Endpoint& target : forward.targets) {
    if (!text.empty()) text += ", ";
    text += range_text(to_string(target), target, forward.ports);
  }
  return text;
}

net::ConnectOptions connect_options(const DirectPlan& plan) {
  net::ConnectOptions options;
  options.attempt_timeout = plan.connect_time;
  return options;
}

files::Decision only_others(const OwnListeners& own, std::uint16_t port, const std::optional<IpAddress>& to) {
  files::Decision decision{.allowed = true, .reason = {}, .rule = {}};
  if (!to || !own.are_reached_at(*to, port)) return decision;
  decision.allowed = false;
  decision.reason = fmt::format("{} port {} is a listener of this culvert: a loop", to->text(), port);
  return decision;
}

// The line of a rules file as the option that it is here.
std::string option_for(std::string_view rule) {
  constexpr std::string_view kBefore = "connect = [\"", kBehind = "\"]";
  if (!rule.starts_with(kBefore) || !rule.ends_with(kBehind)) return std::string(rule);
  rule.remove_prefix(kBefore.size());
  rule.remove_suffix(kBehind.size());
  return fmt::format("--connect '{}'", rule);
}

relay::ConnectJudge judge_of_proxies(const DirectPlan& plan, const OwnListeners& own) {
  files::Grants grants;
  grants.connect = plan.connect;
  return [grants = std::make_shared<const files::Grants>(std::move(grants)), &own](
             std::string_view host, std::uint16_t port, const std::optional<IpAddress>& resolved) {
    auto decision = files::may_connect(*grants, host, port, resolved, net::own_addresses());
    if (decision) return only_others(own, port, resolved);
    decision.rule = option_for(decision.rule);
    return decision;
  };
}

}  // namespace

DirectRun::DirectRun(boost::asio::any_io_executor executor, const DirectPlan& plan, net::Resolver& resolver)
    : plan_(plan),
      resolver_(resolver),
      to_targets_(resolver, connect_options(plan), net::Family::any,
                  [this](std::string_view, std::uint16_t port, const std::optional<IpAddress>& resolved) {
                    return only_others(own_streams_, port, resolved);
                  }),
      from_proxies_(resolver, connect_options(plan), net::Family::any, judge_of_proxies(plan, own_streams_)),
      forwards_(std::move(executor)) {}

relay::Task<Result<void>> DirectRun::start() {
  if (!plan_.proxy_accounts_file.empty())
    proxy_accounts_ = CO_TRY(proxy::read_accounts_file(plan_.proxy_accounts_file));
  for (const DirectForward& forward : plan_.forwards) CO_TRY(co_await open(forward));
  for (const DirectForward& forward : plan_.forwards) CO_TRY(co_await check_targets(forward));
  for (Opened& opened : opened_) add(std::move(opened));
  opened_.clear();
  co_return Result<void>();
}

relay::Task<Result<void>> DirectRun::open(const DirectForward& forward) {
  for (std::uint16_t offset = 0; offset < forward.ports; ++offset) {
    ListenSpec spec = forward.listen;
    spec.endpoint = moved(spec.endpoint, offset);
    auto listeners = co_await open_listeners(spec, resolver_);
    if (!listeners) co_return std::unexpected(std::move(listeners).error());
    for (const net::Listener& listener : *listeners) {
      if (const auto at = listener.endpoint())
        own_streams_.add(net::ip_address_of(at->address()), at->port());
    }
    opened_.push_back({&forward, offset, std::move(*listeners)});
  }
  co_return Result<void>();
}

// Whether they can be resolved, and do not lead back here. That can change later, when each dial looks again.
relay::Task<Result<void>> DirectRun::check_targets(const DirectForward& forward) {
  for (const relay::Endpoint& target : forward.targets) {
    const auto loop = [&](std::uint16_t offset) {
      return fail(Errc::usage, fmt::format("cannot map to {}: that is a listener of this culvert: a loop",
                                           moved(target, offset)));
    };
    const auto* place = std::get_if<relay::HostPort>(&target);
    if (place == nullptr) {
      for (const DirectForward& other : plan_.forwards)
        if (other.listen.endpoint == target) co_return loop(0);
      continue;
    }
    const auto found = co_await resolver_.resolve(place->host, place->port);
    if (!found)
      co_return fail(found.error().code,
                     fmt::format("cannot resolve {}: {}", printable(place->host), found.error().message));
    for (const auto& address : *found) {
      for (std::uint16_t offset = 0; offset < forward.ports; ++offset) {
        const auto port = static_cast<std::uint16_t>(place->port + offset);
        if (own_streams_.are_reached_at(net::ip_address_of(address.address()), port)) co_return loop(offset);
      }
    }
  }
  co_return Result<void>();
}

void DirectRun::add(Opened opened) {
  const DirectForward& forward = *opened.forward;
  if (opened.offset == 0) {
    for (const net::Listener& listener : opened.listeners) {
      const std::string at = range_text(listener.name(), forward.listen.endpoint, forward.ports);
      if (forward.is_proxy()) {
        log_event(LogLevel::notice, "forward_up", "proxy {} up", field("listener", at));
      } else {
        log_event(LogLevel::notice, "forward_up", "map {} -> {} up", field("listener", at),
                  field("targets", targets_text(forward)));
      }
    }
  }
  auto source = std::make_unique<relay::ListenerSource>(std::move(opened.listeners));
  if (forward.is_proxy()) {
    forwards_.add(
        std::make_unique<proxy::Front>(std::move(source), proxy::FrontOptions{.accounts = proxy_accounts_}),
        from_proxies_, {});
  } else {
    forwards_.add(std::move(source), to_targets_,
                  {.destination = moved(forward.targets.front(), opened.offset)});
  }
}

}  // namespace culvert::daemon

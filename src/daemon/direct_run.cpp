// SPDX-License-Identifier: Apache-2.0
#include "daemon/direct_run.hpp"

#include <algorithm>
#include <exception>
#include <iterator>
#include <memory>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "daemon/open_listeners.hpp"
#include "daemon/traffic_log.hpp"
#include "engine/proxy/accounts_file.hpp"
#include "engine/relay/balancing_dialer.hpp"
#include "net/addresses.hpp"
#include "net/connect.hpp"
#include "net/run.hpp"

namespace culvert::daemon {

namespace asio = boost::asio;

namespace {

// "127.0.0.1:8000-8010"
std::string range_text(std::string first, const relay::Endpoint& endpoint, std::uint16_t ports) {
  const auto* place = std::get_if<relay::HostPort>(&endpoint);
  return place == nullptr || ports == 1 ? first : fmt::format("{}-{}", first, place->port + ports - 1);
}

std::string targets_text(const DirectPlan& plan, const DirectForward& forward) {
  std::string text;
  const auto add = [&text](const std::string& more) { text += (text.empty() ? "" : ", ") + more; };
  for (const NamedTargets& named : plan.names)
    add(fmt::format("{}={}", printable(named.name), fmt::join(named.targets, ",")));
  for (const relay::Endpoint& target : forward.targets)
    add(range_text(to_string(target), target, forward.ports));
  return text;
}

// "map 127.0.0.1:8000-8010 -> 10.0.0.5:8000-8010"
std::string mapping_text(const DirectPlan& plan, const DirectForward& forward, const std::string& listener) {
  const std::string at = range_text(listener, forward.listen.endpoint, forward.ports);
  return forward.is_proxy ? "proxy " + at : fmt::format("map {} -> {}", at, targets_text(plan, forward));
}

void tell_up(const DirectPlan& plan, const DirectForward& forward, const std::string& listener) {
  const std::string at = range_text(listener, forward.listen.endpoint, forward.ports);
  if (forward.is_proxy) {
    log_event(LogLevel::notice, "forward_up", "proxy {} up", field("listener", at));
  } else {
    log_event(LogLevel::notice, "forward_up", "map {} -> {} up", field("listener", at),
              field("targets", targets_text(plan, forward)));
  }
}

/// The flows of a port are shared out evenly, its clients by chance: with fewer, a thread would soon push out
/// the flows of some while another has room.
constexpr std::size_t kFlowsOfALane = 1024;

bool is_at_unix_socket(const DirectForward& forward) {
  return std::holds_alternative<relay::UnixPath>(forward.listen.endpoint);
}

}  // namespace

DirectRun::DirectRun(asio::any_io_executor executor, const DirectPlan& plan, net::Resolver& resolver,
                     BoundPorts& bound)
    : executor_(std::move(executor)),
      plan_(plan),
      resolver_(resolver),
      bound_(bound),
      commons_(plan),
      workers_(plan.threads),
      executors_(workers_.executors(executor_)),
      changed_(executor_) {
  for (const asio::any_io_executor& one : executors_)
    lanes_.push_back(std::make_unique<DirectLane>(one, commons_, resolver, executors_.size()));
}

DirectRun::~DirectRun() { workers_.stop(); }

relay::Task<Result<void>> DirectRun::open(net::Resolver& names) {
  if (plan_.transparent) CO_TRY(net::may_be_transparent());
  if (!plan_.proxy_accounts_file.empty())
    commons_.proxy_accounts = CO_TRY(proxy::read_accounts_file(plan_.proxy_accounts_file));
  for (const NamedTargets& named : plan_.names) {
    CO_TRY(commons_.routes.add(named.name, {named.targets.front(), group_of(named.targets, Transport::tcp)}));
  }
  for (const DirectForward& forward : plan_.forwards)
    if (!is_at_unix_socket(forward)) CO_TRY(co_await open(forward, names));
  co_return Result<void>();
}

relay::Task<Result<void>> DirectRun::start() {
  for (const DirectForward& forward : plan_.forwards)
    if (is_at_unix_socket(forward)) CO_TRY(co_await open(forward, resolver_));
  for (const DirectForward& forward : plan_.forwards) CO_TRY(co_await check_targets(forward));
  for (const std::string& line : routing_.lines()) log(LogLevel::notice, "{}", line);
  co_return Result<void>();
}

// Of several targets, watched if that is wanted; null: there is one, or none.
std::shared_ptr<relay::TargetGroup> DirectRun::group_of(std::vector<relay::Endpoint> targets,
                                                        Transport transport) {
  if (targets.size() < 2) return nullptr;
  relay::TargetGroupOptions options{.balance = plan_.balance};
  const bool is_checked = plan_.checks && (transport == Transport::tcp || plan_.checks->port != 0);
  if (is_checked) {
    options.checked = true;
    options.rise = plan_.checks->rise;
    options.fall = plan_.checks->fall;
  }
  auto group = relay::TargetGroup::make(std::move(targets), options, relay::log_target_change);
  if (is_checked) lanes_.front()->watch(group);
  return group;
}

relay::Task<Result<void>> DirectRun::open(const DirectForward& forward, net::Resolver& names) {
  std::vector<std::string> listeners;  // of the range's first port
  for (std::uint16_t offset = 0; offset < forward.ports; ++offset) {
    DirectPort port{&forward, offset};
    std::vector<relay::Endpoint> targets;
    targets.reserve(forward.targets.size());
    for (const relay::Endpoint& target : forward.targets) targets.push_back(port.moved(target));
    port.group = group_of(std::move(targets), forward.transport);
    auto opened = forward.transport == Transport::udp ? co_await open_datagrams(port, names)
                                                      : co_await open_streams(port, names);
    if (!opened && !forward.is_optional) co_return std::unexpected(std::move(opened).error());
    if (!opened) {
      log(LogLevel::warning, "{}; going on without", opened.error().message);
    } else if (offset == 0) {
      listeners = *std::move(opened);
    }
  }
  for (const std::string& listener : listeners) tell_up(plan_, forward, listener);
  if (!listeners.empty()) names_[&forward] = mapping_text(plan_, forward, listeners.front());
  co_return Result<void>();
}

DirectRun::Names DirectRun::open_streams(const DirectPort& port, net::Resolver& names) {
  ListenSpec spec = port.forward->listen;
  spec.endpoint = port.moved(spec.endpoint);
  const bool is_shared = lanes_.size() > 1 && std::holds_alternative<relay::HostPort>(spec.endpoint);
  // What one socket takes alone, some thread has alone.
  const std::size_t owner = is_shared ? 0 : next_++ % lanes_.size();
  const auto bind = [is_shared](const auto& endpoint) {
    return is_shared ? net::bind_shared_tcp(endpoint, net::Shares::first) : net::bind_tcp(endpoint);
  };
  auto listeners = co_await open_listeners(spec, names, bind, executors_[owner]);
  if (!listeners && port.forward->outside != 0) {
    // The router can lead from that port to any of ours.
    std::get<relay::HostPort>(spec.endpoint).port = 0;
    listeners = co_await open_listeners(spec, names, bind, executors_[owner]);
  }
  if (!listeners) co_return std::unexpected(std::move(listeners).error());
  std::vector<std::string> opened;
  for (net::Listener& listener : *listeners) {
    CO_TRY(listener.set_liveness(plan_.liveness));
    if (const auto at = listener.endpoint()) {
      commons_.own_streams.add(net::ip_address_of(at->address()), at->port());
      bound_.add(net::ip_address_of(at->address()), gateway::Protocol::tcp, at->port(),
                 port.forward->outside);
    }
    opened.push_back(listener.name());
  }
  if (is_shared) {
    for (std::size_t i = 1; i < lanes_.size(); ++i) {
      std::vector<net::Listener> others;
      for (const net::Listener& listener : *listeners) {
        auto other = net::Listener::listen_tcp(executors_[i], *listener.endpoint(), [](const auto& endpoint) {
          return net::bind_shared_tcp(endpoint, net::Shares::another);
        });
        if (!other) co_return std::unexpected(std::move(other).error());
        CO_TRY(other->set_liveness(plan_.liveness));
        others.push_back(std::move(*other));
      }
      lanes_[i]->add(port, std::move(others));
    }
  }
  lanes_[owner]->add(port, std::move(*listeners));
  co_return opened;
}

DirectRun::Names DirectRun::open_datagrams(const DirectPort& port, net::Resolver& names) {
  ListenSpec spec = port.forward->listen;
  spec.endpoint = port.moved(spec.endpoint);
  const std::size_t lanes = lanes_for_datagrams(*port.forward);
  const auto listen = [lanes](const asio::ip::udp::endpoint& endpoint) {
    return net::listen_shared_udp(endpoint, lanes > 1 ? net::Shares::first : net::Shares::nothing);
  };
  auto listeners = co_await open_udp_listeners(spec, names, listen);
  if (!listeners && port.forward->outside != 0) {
    std::get<relay::HostPort>(spec.endpoint).port = 0;
    listeners = co_await open_udp_listeners(spec, names, listen);
  }
  if (!listeners) co_return std::unexpected(std::move(listeners).error());
  std::vector<std::string> opened;
  for (const net::UdpListener& listener : *listeners) {
    commons_.own_datagrams.add(net::ip_address_of(listener.local.address()), listener.local.port());
    bound_.add(net::ip_address_of(listener.local.address()), gateway::Protocol::udp, listener.local.port(),
               port.forward->outside);
    opened.push_back(listener.name());
  }
  const std::size_t most_flows = plan_.most_streams / lanes;
  for (std::size_t i = 1; i < lanes; ++i) {
    std::vector<net::UdpListener> others;
    for (const net::UdpListener& listener : *listeners)
      others.push_back(CO_TRY(net::listen_shared_udp(listener.local, net::Shares::another)));
    lanes_[next_++ % lanes_.size()]->add(port, std::move(others), most_flows);
  }
  lanes_[next_++ % lanes_.size()]->add(port, std::move(*listeners), most_flows);
  co_return opened;
}

// A range has ports for all threads, and a chosen source port is one socket's.
std::size_t DirectRun::lanes_for_datagrams(const DirectForward& forward) const {
  const bool has_source_port = plan_.source && plan_.source->port != 0;
  if (forward.ports > 1 || has_source_port) return 1;
  return std::clamp<std::size_t>(plan_.most_streams / kFlowsOfALane, 1, lanes_.size());
}

// Whether they can be resolved, and do not lead back here. That can change later, when each dial looks again.
relay::Task<Result<void>> DirectRun::check_targets(const DirectForward& forward) {
  std::vector<relay::Endpoint> targets = forward.targets;
  for (const NamedTargets& named : plan_.names) std::ranges::copy(named.targets, std::back_inserter(targets));
  const OwnListeners& own =
      forward.transport == Transport::udp ? commons_.own_datagrams : commons_.own_streams;
  for (const relay::Endpoint& target : targets) {
    const auto loop = [&](std::uint16_t offset) {
      return fail(Errc::usage, fmt::format("cannot map to {}: that is a listener of this culvert: a loop",
                                           DirectPort{&forward, offset}.moved(target)));
    };
    const auto* place = std::get_if<relay::HostPort>(&target);
    if (place == nullptr) {
      for (const DirectForward& other : plan_.forwards)
        if (other.listen.endpoint == target) co_return loop(0);
      continue;
    }
    const auto found = co_await resolver_.resolve(place->host, place->port);
    if (!found) co_return std::unexpected(net::cannot_resolve(place->host, found.error()));
    for (const auto& address : *found) {
      if (plan_.transparent) {
        if (const auto facing = net::own_address_towards(address.address()))
          routing_.add(net::ip_address_of(address.address()), net::ip_address_of(*facing));
      }
      for (std::uint16_t offset = 0; offset < forward.ports; ++offset) {
        const auto port = static_cast<std::uint16_t>(place->port + offset);
        if (own.are_reached_at(net::ip_address_of(address.address()), port)) co_return loop(offset);
      }
    }
  }
  co_return Result<void>();
}

relay::Task<Result<void>> DirectRun::serve() {
  for (std::size_t i = 1; i < lanes_.size(); ++i) start_lane(i);
  workers_.start();
  over(co_await lanes_.front()->serve());
  while (working_ > 0) co_await changed_.wait();
  co_return result_.value_or(Result<void>());
}

void DirectRun::start_lane(std::size_t index) {
  ++working_;
  const auto ended = [this](Result<void> result) {
    net::post_from_outside(executor_, [this, result = std::move(result)] {
      --working_;
      over(result);
      changed_.wake();
    });
  };
  asio::co_spawn(executors_[index], lanes_[index]->serve(),
                 [ended](const std::exception_ptr& exception, Result<void> result) {
                   ended(exception ? std::unexpected(error_of(exception)) : std::move(result));
                 });
}

void DirectRun::stop(Duration time) {
  lanes_.front()->stop(time);
  for (std::size_t i = 1; i < lanes_.size(); ++i)
    net::post_from_outside(executors_[i], [&lane = *lanes_[i], time] { lane.stop(time); });
}

void DirectRun::tell() {
  struct Collected {
    TrafficOf all;
    std::size_t awaited;
  };
  const auto collected = std::make_shared<Collected>(lanes_.front()->traffic(), lanes_.size() - 1);
  if (collected->awaited == 0) return tell(collected->all);
  for (std::size_t i = 1; i < lanes_.size(); ++i) {
    net::post_from_outside(executors_[i], [this, collected, &lane = *lanes_[i]] {
      net::post_from_outside(executor_, [this, collected, of_lane = lane.traffic()] {
        for (const auto& [mapping, traffic] : of_lane) collected->all[mapping] += traffic;
        if (--collected->awaited == 0) tell(collected->all);
      });
    });
  }
}

void DirectRun::tell(const TrafficOf& all) const {
  for (const auto& [mapping, traffic] : all) {
    // Those beside a mapping in the kernel are hardly ever used.
    const bool is_worth_it = !mapping->is_optional || traffic != relay::Traffic();
    const auto name = names_.find(mapping);
    if (is_worth_it && name != names_.end()) log_traffic(name->second, traffic);
  }
}

// When one thread has failed, the others end.
void DirectRun::over(Result<void> result) {
  if (!result && !result_) {
    result_ = std::move(result);
    stop(Duration::zero());
  }
}

}  // namespace culvert::daemon

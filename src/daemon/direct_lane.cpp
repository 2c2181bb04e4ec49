// SPDX-License-Identifier: Apache-2.0
#include "daemon/direct_lane.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "engine/proxy/front.hpp"
#include "engine/relay/admission_source.hpp"
#include "engine/relay/datagram_forward.hpp"
#include "engine/relay/grouped_target.hpp"
#include "engine/relay/listener_source.hpp"
#include "engine/relay/proxy_header_source.hpp"
#include "files/access_rules.hpp"
#include "net/addresses.hpp"

namespace culvert::daemon {
namespace {

net::ConnectOptions connect_options(const DirectPlan& plan) {
  net::ConnectOptions options;
  options.attempt_timeout = plan.connect_time;
  options.liveness = plan.liveness;
  options.transparent = plan.transparent;
  if (plan.source) {
    options.bind_addresses = {net::asio_address_of(plan.source->address)};
    options.bind_port = plan.source->port;
  }
  return options;
}

// A stream may have the chosen port, to the very target.
net::ConnectOptions check_options(const DirectPlan& plan) {
  net::ConnectOptions options = connect_options(plan);
  options.bind_port = 0;
  return options;
}

files::Decision only_others(const OwnListeners& own, std::uint16_t port, const std::optional<IpAddress>& to) {
  files::Decision decision{.allowed = true, .reason = {}, .rule = {}};
  if (!to || !own.are_reached_at(*to, port)) return decision;
  decision.allowed = false;
  decision.reason = fmt::format("{} port {} is a listener of this culvert: a loop", to->text(), port);
  return decision;
}

relay::ConnectJudge judge_of_targets(const OwnListeners& own) {
  return [&own](std::string_view, std::uint16_t port, const std::optional<IpAddress>& resolved) {
    return only_others(own, port, resolved);
  };
}

relay::ConnectJudge judge_of_proxies(const DirectPlan& plan, const OwnListeners& own) {
  files::Grants grants;
  grants.connect = plan.connect;
  grants.form = files::RuleForm::option;
  return [grants = std::make_shared<const files::Grants>(std::move(grants)), &own](
             std::string_view host, std::uint16_t port, const std::optional<IpAddress>& resolved) {
    const auto decision = files::may_connect(*grants, host, port, resolved, net::is_own);
    return decision ? only_others(own, port, resolved) : decision;
  };
}

std::shared_ptr<relay::Rate> rate_of(const std::optional<std::uint64_t>& a_second) {
  return a_second ? std::make_shared<relay::Rate>(*a_second) : nullptr;
}

net::Family family_of_source(const DirectPlan& plan) {
  if (!plan.source) return net::Family::any;
  return plan.source->address.is_v4() ? net::Family::ipv4 : net::Family::ipv6;
}

/// A name server is asked from a local port as well. Flows that have their visitors' addresses take none.
std::size_t most_flows_of(const DirectPlan& plan) {
  return plan.transparent ? std::numeric_limits<std::size_t>::max()
                          : std::max<std::size_t>(net::local_ports() / 4 * 3, 1);
}

std::optional<boost::asio::ip::udp::endpoint> datagram_source(const DirectPlan& plan) {
  if (!plan.source) return std::nullopt;
  return boost::asio::ip::udp::endpoint(net::asio_address_of(plan.source->address), plan.source->port);
}

/// Of all flows, one in so many is for the threads, each has its own; the others are for who comes first.
constexpr std::size_t kPartOfLanes = 4;

}  // namespace

DirectCommons::DirectCommons(const DirectPlan& of)
    : plan(of),
      limit(of.most_streams),
      most_flows(most_flows_of(of)),
      flows(most_flows - most_flows / kPartOfLanes),
      rates{rate_of(of.bytes_a_second_out), rate_of(of.bytes_a_second_in)},
      new_streams(rate_of(of.streams_a_second)) {}

relay::Endpoint DirectPort::moved(relay::Endpoint endpoint) const {
  if (auto* place = std::get_if<relay::HostPort>(&endpoint))
    place->port = static_cast<std::uint16_t>(place->port + offset);
  return endpoint;
}

DirectLane::DirectLane(boost::asio::any_io_executor executor, const DirectCommons& commons,
                       net::Resolver& resolver, std::size_t lanes)
    : commons_(commons),
      flows_(std::make_shared<relay::FlowLimit>(
          commons.flows, std::max<std::size_t>(commons.most_flows / kPartOfLanes / lanes, 1))),
      resolver_(resolver),
      to_targets_(resolver, connect_options(commons.plan), net::Family::any,
                  judge_of_targets(commons.own_streams)),
      checking_(resolver, check_options(commons.plan), net::Family::any,
                judge_of_targets(commons.own_streams)),
      from_proxies_(resolver, connect_options(commons.plan), net::Family::any,
                    judge_of_proxies(commons.plan, commons.own_streams)),
      forwards_(std::move(executor)) {
  if (commons.plan.proxy_header_to) with_header_.emplace(to_targets_, *commons.plan.proxy_header_to);
}

void DirectLane::add(const DirectPort& port, std::vector<net::Listener> listeners) {
  const DirectPlan& plan = commons_.plan;
  const bool is_unix_socket = !listeners.front().endpoint();
  std::unique_ptr<relay::Source> source = std::make_unique<relay::ListenerSource>(std::move(listeners));
  if (!plan.proxy_header_from.empty()) {
    source = std::make_unique<relay::ProxyHeaderSource>(
        std::move(source), relay::ProxyHeaderSourceOptions{.trusted = plan.proxy_header_from});
  }
  if (!plan.access.empty() || commons_.new_streams) {
    source = std::make_unique<relay::AdmissionSource>(
        std::move(source),
        relay::AdmissionOptions{
            .access = plan.access, .lets_in_unix_sockets = is_unix_socket, .streams = commons_.new_streams});
  }
  relay::ForwardOptions options{.limit = commons_.limit, .rates = commons_.rates, .silence = plan.silence};
  if (port.forward->is_proxy) {
    proxy::FrontOptions front{.accounts = commons_.proxy_accounts};
    if (plan.advertise) front.advertise = net::asio_address_of(*plan.advertise);
    source = std::make_unique<proxy::Front>(std::move(source), std::move(front));
    return forwards_.add(*port.forward, std::move(source), from_proxies_, std::move(options));
  }
  if (!plan.names.empty()) {
    relay::SniRoutes routes = commons_.routes;
    if (!port.forward->targets.empty()) {
      const auto added = routes.add("*", {port.moved(port.forward->targets.front()), port.group});
      CULVERT_ASSERT(added);  // the command line has no "*" beside targets
    }
    source = std::make_unique<relay::SniSource>(std::move(source), std::move(routes));
  } else {
    options.destination = port.moved(port.forward->targets.front());
    options.targets = port.group;
  }
  relay::Dialer& dialer = with_header_ ? static_cast<relay::Dialer&>(*with_header_) : to_targets_;
  forwards_.add(*port.forward, std::move(source), dialer, std::move(options));
}

void DirectLane::add(const DirectPort& port, std::vector<net::UdpListener> listeners,
                     std::size_t most_flows) {
  const DirectPlan& plan = commons_.plan;
  relay::DatagramOptions options;
  options.idle_time = plan.flow_time;
  options.most_flows = most_flows;
  options.limit = flows_;
  options.source = datagram_source(plan);
  options.transparent = plan.transparent;
  options.rates = commons_.rates;
  std::vector<std::unique_ptr<relay::ResolvedTarget>> targets;
  targets.reserve(port.forward->targets.size());
  for (const relay::Endpoint& target : port.forward->targets) {
    targets.push_back(std::make_unique<relay::ResolvedTarget>(
        std::get<relay::HostPort>(port.moved(target)), resolver_,
        relay::ResolvedTargetOptions{.family = family_of_source(plan),
                                     .same_family = plan.transparent,
                                     .judge = judge_of_targets(commons_.own_datagrams)}));
  }
  auto target = std::make_unique<relay::GroupedTarget>(std::move(targets), port.group, plan.access,
                                                       commons_.new_streams);
  forwards_.add(*port.forward, std::make_unique<relay::DatagramForward>(
                                   std::move(listeners), std::move(target), std::move(options)));
}

void DirectLane::watch(std::shared_ptr<relay::TargetGroup> group) {
  const CheckPlan& checks = *commons_.plan.checks;
  forwards_.add(std::make_unique<relay::HealthChecks>(
      checking_, std::move(group),
      relay::HealthCheckOptions{.interval = checks.interval, .port = checks.port}));
}

void DirectLane::stop(Duration time) { forwards_.stop(time); }

}  // namespace culvert::daemon

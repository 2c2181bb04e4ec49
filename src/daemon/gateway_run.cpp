// SPDX-License-Identifier: Apache-2.0
#include "daemon/gateway_run.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "net/addresses.hpp"
#include "net/socket.hpp"

namespace culvert::daemon {

namespace asio = boost::asio;

namespace {

// Several changes come together when a network does.
constexpr Duration kSettling = std::chrono::milliseconds(500);
// A router that does not answer to the end does not hold it up, nor one that routes lead to no more.
constexpr Duration kPatience = std::chrono::milliseconds(1500),
                   kPatienceWithoutRoute = std::chrono::milliseconds(300);

std::string port_text(const mapper::Port& port) {
  return fmt::format("{} {}", gateway::name_of(port.protocol), port.outside);
}

// "192.168.1.20:8080"
std::string place_of(const net::DefaultRoute& route, const mapper::Port& port) {
  return with_port(net::ip_address_of(route.here).text(), port.inside);
}

// A connection would tell, too, but whoever waits for a single one would have had it.
template <class Endpoint>
bool can_be_bound(const asio::any_io_executor& executor, const Endpoint& endpoint) {
  typename Endpoint::protocol_type::socket socket(executor);
  boost::system::error_code error;
  socket.open(endpoint.protocol(), error);
  if (!error && std::is_same_v<Endpoint, asio::ip::tcp::endpoint>)
    socket.set_option(asio::socket_base::reuse_address(true),
                      error);  // connections that have ended do not count
  if (!error) socket.bind(endpoint, error);
  return !error;
}

}  // namespace

struct GatewayRun::Router {
  Router(const net::DefaultRoute& route, std::span<const mapper::Port> ports, GatewayRun& owner)
      : gateway(
            route, ports, mapper::ways_to(route, ports, owner.plan_.lifetime, owner.random_, owner.executor_),
            [&owner] { owner.changed_.wake(); }, owner.executor_) {}
  mapper::Gateway gateway;
  std::string told;         // of its failure
  bool is_leaving = false;  // no route leads to it
  bool is_over = false;
};

GatewayRun::GatewayRun(asio::any_io_executor executor, const GatewayPlan& plan, const BoundPorts& bound,
                       OpenRecords& records, std::size_t others, crypto::Random& random)
    : executor_(std::move(executor)),
      plan_(plan),
      bound_(bound),
      random_(random),
      changed_(executor_),
      tasks_(changed_, log_broken_task),
      awaited_(others),
      records_(records) {}

GatewayRun::~GatewayRun() = default;

void GatewayRun::started() {
  if (awaited_ > 0) --awaited_;
  changed_.wake();
}

relay::Task<Result<void>> GatewayRun::start() {
  while (awaited_ > 0) co_await changed_.wait();
  if (const std::string why = kept_by_another(); !why.empty()) {
    if (plan_.is_required) co_return fail(Errc::usage, why);
    log(LogLevel::warning, "{}", why);
  }
  auto watch = net::RouteWatch::open(executor_);
  if (watch) watch_.emplace(std::move(*watch));
  auto followed = follow_routes({});
  if (followed && routers_.empty())
    followed = fail(Errc::not_found,
                    "there is no router to open ports: no default route, or no listener that it leads to");
  if (!plan_.is_required) {
    if (!followed) log(LogLevel::warning, "{}", followed.error().message);
    co_return Result<void>();
  }
  CO_TRY(followed);
  while (!any_open() && !all_failed() && !stop_within_) co_await changed_.wait();
  if (!any_open() && !stop_within_) {
    Error error = why_not();
    stop(Duration::zero());
    (void)co_await serve();
    co_return std::unexpected(std::move(error));
  }
  co_return Result<void>();
}

relay::Task<Result<void>> GatewayRun::serve() {
  if (watch_ && !stop_within_) tasks_.spawn(watch());
  if (!stop_within_) look_for_services();
  while (!stop_within_) {
    tell_failures();
    write_record();
    co_await changed_.wait();
    drop_ended();
  }
  if (watch_) watch_->close();
  for (const auto& router : routers_) router->gateway.stop(std::min(*stop_within_, kPatience));
  while (!tasks_.empty() ||
         !std::ranges::all_of(routers_, [](const auto& router) { return router->is_over; }))
    co_await changed_.wait();
  co_return Result<void>();
}

void GatewayRun::look_for_services() const {
  if (routers_.empty()) return;
  const asio::ip::address here = routers_.front()->gateway.route().here;
  for (const mapper::Port& port : plan_.ports) {
    const bool is_free = port.protocol == gateway::Protocol::tcp
                             ? can_be_bound(executor_, asio::ip::tcp::endpoint(here, port.inside))
                             : can_be_bound(executor_, asio::ip::udp::endpoint(here, port.inside));
    if (!is_free) continue;
    log(LogLevel::warning,
        "nobody listens at {} {} yet (what listens on this machine alone is reached with --to localhost:{})",
        gateway::name_of(port.protocol), with_port(net::ip_address_of(here).text(), port.inside),
        port.inside);
  }
}

void GatewayRun::stop(Duration time) {
  if (!stop_within_) stop_within_ = time;
  changed_.wake();
}

void GatewayRun::tell() {
  for (const auto& router : routers_)
    if (!router->is_over) router->gateway.tell();
}

relay::Task<void> GatewayRun::watch() {
  relay::Signal pause(executor_);
  while (const auto change = co_await watch_->changed()) {
    co_await pause.wait(kSettling);
    if (stop_within_) break;
    if (const auto followed = follow_routes(*change); !followed)
      log(LogLevel::verbose, "{}", followed.error().message);
  }
}

// Routers that are new are asked, those that are gone are let go, and where something has changed on the way
// to one it may look whether all is as it was.
Result<void> GatewayRun::follow_routes(const net::RouteChange& change) {
  const auto routes = net::default_routes();
  if (!routes) return fail(Errc::system, "cannot read the default routes: " + routes.error().message);
  for (const auto& router : routers_) {
    if (router->is_leaving) continue;
    const net::DefaultRoute& route = router->gateway.route();
    if (std::ranges::find(*routes, route) == routes->end()) {
      if (router->gateway.any_open())
        log(LogLevel::warning, "no default route leads to router {} any more: closing what it has open",
            route.gateway.to_string());
      router->is_leaving = true;
      router->gateway.stop(kPatienceWithoutRoute);
    } else if (change.is_of(route.index)) {
      router->gateway.refresh();
    }
  }
  for (const net::DefaultRoute& route : *routes) {
    const bool is_known = std::ranges::any_of(
        routers_, [&](const auto& router) { return !router->is_over && router->gateway.route() == route; });
    if (!is_known) add(route);
  }
  return {};
}

void GatewayRun::add(const net::DefaultRoute& route) {
  auto ports = ports_for(route);
  if (ports.empty()) return;
  for (mapper::Port& port : ports) port.nonce = nonce_for(route, port);
  log(LogLevel::verbose, "asking router {} ({}) for {} port{}", route.gateway.to_string(), route.interface,
      ports.size(), ports.size() == 1 ? "" : "s");
  Router& router = *routers_.emplace_back(std::make_unique<Router>(route, ports, *this));
  asio::co_spawn(executor_, router.gateway.run(), [this, &router](const std::exception_ptr& exception) {
    if (exception) log_broken_task(error_of(exception));
    router.is_over = true;
    changed_.wake();
  });
}

// Each reason once.
void GatewayRun::tell_failures() {
  for (const auto& router : routers_) {
    const std::string failure = router->gateway.failure().value_or("");
    if (!failure.empty() && failure != router->told) {
      log_event(LogLevel::warning, "open_failed", "router {} opens no port: {}",
                field("router", router->gateway.route().gateway.to_string()), field("reason", failure));
    }
    router->told = failure;
  }
}

void GatewayRun::write_record() {
  if (!records_.own) return;
  std::vector<OpenPortRecord> ports;
  for (const auto& router : routers_) {
    const net::DefaultRoute& route = router->gateway.route();
    for (const auto& state : router->gateway.states()) {
      if (!state.opening) continue;
      const auto left = std::chrono::duration_cast<std::chrono::seconds>(state.end - monotonic_now());
      ports.push_back({.protocol = std::string(gateway::name_of(state.port.protocol)),
                       .outside = with_port(state.opening->address.text(), state.opening->port),
                       .port = state.opening->port,
                       .inside = place_of(route, state.port),
                       .router = route.gateway.to_string(),
                       .by = state.by,
                       .until = state.end == kNever ? 0 : unix_now() + left.count(),
                       .nonce = state.port.nonce});
    }
  }
  if (const auto written = records_.own->write(ports); !written)
    log(LogLevel::verbose, "{}", written.error().message);
  for (LeftOpenFile& left : records_.left) left.forget(ports);
}

std::string GatewayRun::kept_by_another() const {
  const auto routes = net::default_routes();
  if (!routes) return "";
  for (const net::DefaultRoute& route : *routes) {
    for (const mapper::Port& port : ports_for(route)) {
      for (const OpenRecord& record : records_.others) {
        const bool is_kept =
            record.is_running && std::ranges::any_of(record.ports, [&](const auto& one) {
              return one.protocol == gateway::name_of(port.protocol) && one.port == port.outside;
            });
        if (!is_kept) continue;
        return fmt::format(
            "process {} keeps {} open already, and closes it when it ends (culvert open --close {}/{} "
            "ends it)",
            record.pid, port_text(port), port.outside, gateway::name_of(port.protocol));
      }
    }
  }
  return "";
}

// What a killed process has opened by PCP is had again with its nonce alone, until its time.
gateway::Nonce GatewayRun::nonce_for(const net::DefaultRoute& route, const mapper::Port& port) {
  const std::string router = route.gateway.to_string(), inside = place_of(route, port);
  const std::string protocol(gateway::name_of(port.protocol));
  const auto [entry, is_new] = nonces_.try_emplace(router + " " + protocol + " " + inside);
  gateway::Nonce& nonce = entry->second;
  if (!is_new) return nonce;
  random_.fill(nonce);
  for (const OpenRecord& record : records_.others) {
    for (const OpenPortRecord& left : record.ports) {
      const bool is_it = !record.is_running && left.router == router && left.protocol == protocol &&
                         left.inside == inside && left.nonce != gateway::Nonce();
      if (is_it) nonce = left.nonce;
    }
  }
  return nonce;
}

// The route to one that was still closing may be there again.
void GatewayRun::drop_ended() {
  const bool was_let_go =
      std::ranges::any_of(routers_, [](const auto& router) { return router->is_over && router->is_leaving; });
  std::erase_if(routers_, [](const auto& router) { return router->is_over; });
  if (!was_let_go || stop_within_) return;
  if (const auto followed = follow_routes({}); !followed)
    log(LogLevel::verbose, "{}", followed.error().message);
}

std::vector<mapper::Port> GatewayRun::ports_for(const net::DefaultRoute& route) const {
  std::vector<mapper::Port> ports = plan_.ports;
  if (!plan_.listeners) return ports;
  for (const mapper::Port& port : bound_.reached_from(route)) {
    if (std::ranges::find(ports, port) == ports.end()) ports.push_back(port);
  }
  return ports;
}

bool GatewayRun::any_open() const {
  return std::ranges::any_of(routers_, [](const auto& router) { return router->gateway.any_open(); });
}

bool GatewayRun::all_failed() const {
  return std::ranges::all_of(
      routers_, [](const auto& router) { return router->is_over || router->gateway.failure().has_value(); });
}

Error GatewayRun::why_not() const {
  std::string what, why;
  const mapper::Gateway& first = routers_.front()->gateway;
  for (const auto& state : first.states()) what += (what.empty() ? "" : ", ") + port_text(state.port);
  for (const auto& router : routers_)
    why +=
        fmt::format("{}router {}: {}", why.empty() ? "" : "; ", router->gateway.route().gateway.to_string(),
                    router->gateway.failure().value_or("no answer"));
  return {Errc::denied, fmt::format("cannot open {}: {} (switch UPnP or PCP on in the router's settings, or "
                                    "forward the port there by hand to {})",
                                    what, why, first.route().here.to_string())};
}

}  // namespace culvert::daemon

// SPDX-License-Identifier: Apache-2.0
#include "engine/server/peer_listeners.hpp"

#include <stdlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "base/wire.hpp"
#include "engine/relay/listener_source.hpp"
#include "engine/relay/proxy_header_source.hpp"
#include "engine/server/ruled_dialer.hpp"
#include "net/addresses.hpp"
#include "net/listener_set.hpp"
#include "net/yield.hpp"

namespace culvert::server {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

// Of a range, so many ports are tried before the client is told that there is none.
constexpr std::uint32_t kTriesInRange = 4096;
constexpr auto kTurn = std::chrono::milliseconds(2);  // of trying; then everybody else on this thread
constexpr files::PortRange kWithoutRoot{1024, 65535};

std::uint32_t random_number(crypto::Random& random) {
  std::array<std::uint8_t, 4> bytes{};
  random.fill(bytes);
  return load_u32(bytes.data());
}

// All of them, and not only some: what listens at a chosen port does so at every address that was asked for.
bool allows(const files::ListenDecision& decision, const std::vector<IpAddress>& addresses) {
  return decision && std::ranges::all_of(addresses, [&](const IpAddress& address) {
           return std::ranges::find(decision.addresses, address) != decision.addresses.end();
         });
}

// Another port may do: this one is taken, or for root alone.
bool is_of_this_port(const Error& error) {
  return error.detail == EADDRINUSE || error.detail == EACCES || error.code == Errc::denied;
}

std::vector<tcp::endpoint> endpoints_of(const std::vector<IpAddress>& addresses, std::uint16_t port) {
  std::vector<tcp::endpoint> endpoints;
  endpoints.reserve(addresses.size());
  for (const IpAddress& address : addresses) endpoints.emplace_back(net::asio_address_of(address), port);
  return endpoints;
}

std::string name_of(const tcp::endpoint& endpoint) {
  return relay::to_string(relay::Endpoint(relay::HostPort{endpoint.address().to_string(), endpoint.port()}));
}

// The folder in which a socket is to be made is the one that was judged.
bool has_plain_folder(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(folder.c_str(), nullptr), ::free);
  return real != nullptr && folder == real.get();
}

std::string asked_name(const ssh::ListenRequested& request) {
  if (request.is_path) return printable(request.host, 200);
  return printable(request.host.empty() ? "*" : request.host, 200) + ':' + std::to_string(request.port);
}

// Every address is bound: nobody can type that one.
std::string way_to(const std::string& name, const asio::ip::address& ours) {
  const std::string_view every = ours.is_v4() ? "0.0.0.0:" : "[::]:";
  if (!name.starts_with(every)) return {};
  const std::string_view port = std::string_view(name).substr(every.size());
  return fmt::format(fmt::runtime(ours.is_v4() ? ", to be reached at {}:{}" : ", to be reached at [{}]:{}"),
                     ours.to_string(), port);
}

}  // namespace

PeerListeners::PeerListeners(std::shared_ptr<Context> context,
                             std::shared_ptr<connection::SessionDriver> driver,
                             std::shared_ptr<Permit> permit, ClientName who,
                             std::shared_ptr<const SessionHandle> owner,
                             std::shared_ptr<relay::LinePace> lines, std::function<void()> changed)
    : context_(std::move(context)),
      driver_(std::move(driver)),
      permit_(std::move(permit)),
      who_(std::move(who)),
      owner_(std::move(owner)),
      lines_(std::move(lines)),
      changed_(std::move(changed)) {}

PeerListeners::~PeerListeners() { stop(); }

void PeerListeners::asked(ssh::ListenRequested request) {
  if (stopped_) return answer(false, 0);
  requests_.push_back(std::move(request));
  arrived_.post(driver_->executor());
}

void PeerListeners::replace(std::shared_ptr<const SessionHandle> session) {
  replaced_ = std::move(session);
  arrived_.post(driver_->executor());
}

relay::Task<void> PeerListeners::run() {
  return [](std::shared_ptr<PeerListeners> self) -> relay::Task<void> {
    while (!self->stopped_) {
      if (const auto replaced = std::exchange(self->replaced_, nullptr)) co_await replaced->give_way();
      if (self->requests_.empty()) {
        if (!co_await self->arrived_.wait()) co_return;
        continue;
      }
      const ssh::ListenRequested request = std::move(self->requests_.front());
      self->requests_.pop_front();
      if (request.cancel) {
        self->answer(self->cancel(request), 0);
      } else {
        co_await self->listen(request);
      }
    }
  }(shared_from_this());
}

void PeerListeners::answer(bool granted, std::uint16_t port) {
  if (driver_->is_over()) return;
  driver_->session().reply_listen(granted, port);
  driver_->after_command();
}

relay::Task<void> PeerListeners::listen(ssh::ListenRequested request) {
  Opened opened;
  context_->accounts.lock()->refresh(*permit_);
  if (request.is_path) {
    opened = co_await open_unix(request.host);
  } else {
    opened = co_await open_tcp(request);
  }
  if (stopped_) co_return answer(false, 0);
  // Afterwards: a session that had to give way for it counts no longer, and others have not stood still.
  auto taken = Place::of_listener(permit_);
  if (!taken && !opened.listeners.empty()) opened = {{}, "not permitted: " + taken.error().message};
  if (opened.listeners.empty()) {
    if (const auto others = lines_->next(monotonic_now()))
      log_event(LogLevel::notice, "listener_refused", "{}: refused to listen on {}: {}{}{}", who_,
                field("asked", asked_name(request)), field("reason", opened.denied), opened.hint, *others);
    answer(false, 0);
    co_return;
  }
  // Before whoever has come meanwhile: clients refuse what is of no listener that they know of.
  answer(true, opened.listeners.front().port());
  add(request, std::move(opened.listeners), *std::move(taken));
}

PeerListeners::Opened PeerListeners::refused(const files::Decision& decision) {
  relay::DialError why = relay::not_permitted(decision);
  return {{}, std::move(why.message), std::move(why.hint)};
}

relay::Task<PeerListeners::Opened> PeerListeners::open_tcp(ssh::ListenRequested request) {
  const auto port = static_cast<std::uint16_t>(request.port);
  const auto decision = files::may_listen(permit_->grants, request.host, port);
  if (!decision) co_return refused(decision);
  if (port == 0 && !decision.ports.is_all())
    co_return co_await open_in_range(request.host, decision.addresses, decision.ports);
  auto listeners = listen_on(decision.addresses, port);
  const bool is_taken = !listeners && listeners.error().detail == EADDRINUSE;
  const tcp::endpoint first(net::asio_address_of(decision.addresses.front()), port);
  if (is_taken && port != 0 && co_await taken_over(name_of(first))) {
    const auto still = files::may_listen(permit_->grants, request.host, port);  // that took its time
    if (!still) co_return refused(still);
    listeners = listen_on(still.addresses, port);
  }
  if (!listeners) co_return Opened{{}, listeners.error().message};
  const std::uint16_t chosen = listeners->front().port();
  if (port == 0 && !allows(files::may_listen(permit_->grants, request.host, chosen), decision.addresses))
    co_return co_await open_in_range(request.host, decision.addresses, kWithoutRoot);
  co_return Opened{std::move(*listeners), {}};
}

// The search begins anywhere: whoever holds the first ports of a range shall not be in everybody's way. Each
// port is judged by itself, since a "!" may be within the range.
relay::Task<PeerListeners::Opened> PeerListeners::open_in_range(std::string host,
                                                                std::vector<IpAddress> addresses,
                                                                files::PortRange ports) {
  const std::uint32_t span = ports.last - ports.first + 1u;
  const std::uint32_t begin = random_number(context_->random) % span;
  Opened denied;
  std::uint32_t tries = 0;
  Instant turn_ends = monotonic_now() + kTurn;
  for (std::uint32_t i = 0; i < span && tries < kTriesInRange; ++i) {
    if (monotonic_now() >= turn_ends) {
      co_await net::yield();
      if (stopped_) co_return Opened{};
      turn_ends = monotonic_now() + kTurn;
    }
    const auto port = static_cast<std::uint16_t>(ports.first + (begin + i) % span);
    const auto decision = files::may_listen(permit_->grants, host, port);
    if (!allows(decision, addresses)) {
      denied = decision ? Opened{{}, "not permitted: not at all of the addresses"} : refused(decision);
      continue;
    }
    ++tries;
    auto listeners = listen_on(addresses, port);
    if (listeners) co_return Opened{std::move(*listeners), {}};
    if (!is_of_this_port(listeners.error())) co_return Opened{{}, listeners.error().message};
  }
  if (tries == 0) co_return denied;
  co_return Opened{{}, fmt::format("none of {} ports from {} to {} is free", tries, ports.first, ports.last)};
}

Result<std::vector<net::Listener>> PeerListeners::listen_on(const std::vector<IpAddress>& addresses,
                                                            std::uint16_t port) {
  return net::listen_on_all(
      driver_->executor(), endpoints_of(addresses, port),
      [this](const tcp::endpoint& endpoint) { return context_->privileges.bind(endpoint); },
      net::Needed::the_first);
}

relay::Task<PeerListeners::Opened> PeerListeners::open_unix(std::string path) {
  const auto decision = files::may_listen_path(permit_->grants, path);
  if (!decision) co_return refused(decision);
  if (!has_plain_folder(decision.path))
    co_return Opened{{}, "there is no such folder, or a symbolic link on the way to it"};
  // A server that was killed leaves its sockets behind.
  constexpr net::UnixListenOptions kReplacing{.replace_dead = true};
  auto listener = net::Listener::listen_unix(driver_->executor(), decision.path, kReplacing);
  if (!listener && co_await taken_over(decision.path)) {
    const auto still = files::may_listen_path(permit_->grants, path);
    if (!still) co_return refused(still);
    listener = net::Listener::listen_unix(driver_->executor(), decision.path, kReplacing);
  }
  if (!listener) co_return Opened{{}, listener.error().message};
  Opened opened;
  opened.listeners.push_back(std::move(*listener));
  co_return opened;
}

// A session of the same key that is dead without knowing it gives way; a live one keeps what it has.
relay::Task<bool> PeerListeners::taken_over(std::string name) {
  const auto holder = context_->listeners.lock()->owner_of(name);
  if (!holder || holder == owner_ || holder->identity() != owner_->identity()) co_return false;
  if (co_await holder->answers(context_->options.takeover_patience)) {
    log_event(LogLevel::notice, "listener_held",
              "{}: {} is held by another session of the same key, which is alive", who_,
              field("listener", name));
    co_return false;
  }
  if (stopped_) co_return false;
  log_event(LogLevel::notice, "listener_taken_over",
            "{}: takes {} over from a session of the same key that does not answer", who_,
            field("listener", name));
  co_await holder->give_way();
  co_return !stopped_;
}

void PeerListeners::add(const ssh::ListenRequested& request, std::vector<net::Listener> listeners,
                        Place taken) {
  auto place = std::make_unique<Listening>();
  place->taken = std::move(taken);
  place->any_port = !request.is_path && request.port == 0;
  if (request.is_path) {
    place->asked = relay::UnixPath{request.host};
  } else {
    place->asked = relay::HostPort{request.host, listeners.front().port()};
  }
  for (const net::Listener& listener : listeners) {
    place->names.push_back(listener.name());
    if (const auto at = listener.endpoint())
      place->at.push_back(net::ip_address_of(at->address()).normalised());
    context_->listeners.lock()->add(listener.name(), owner_);
    if (const auto others = opened_lines_.next(monotonic_now()))
      log_event(LogLevel::notice, "listener_opened", "{}: listens on {}, asked for {}{}", who_,
                field("listener", listener.name()), field("asked", asked_name(request)), *others);
  }
  place->dialer = std::make_unique<ClientDialer>(context_, driver_, place->asked, permit_, who_);
  std::unique_ptr<relay::Source> source = std::make_unique<relay::ListenerSource>(std::move(listeners));
  const auto& proxies = context_->options.listener_proxies;
  if (!proxies.empty() && !request.is_path) {
    source = std::make_unique<relay::ProxyHeaderSource>(std::move(source),
                                                        relay::ProxyHeaderSourceOptions{.trusted = proxies});
  }
  place->forward = std::make_unique<relay::Forward>(
      std::move(source), *place->dialer,
      relay::ForwardOptions{.destination = place->asked, .context = context_of(who_, Direction::forwarded)});
  asio::co_spawn(
      driver_->executor(),
      [](relay::Forward& forward) -> relay::Task<void> { (void)co_await forward.run(); }(*place->forward),
      asio::detached);
  places_.push_back(std::move(place));
  changed_();
}

std::optional<std::string> PeerListeners::why_withdrawn(const Listening& place) const {
  const files::Grants& grants = permit_->grants;
  const auto why = [](const files::Decision& decision) {
    return decision ? std::nullopt : std::optional(decision.reason);
  };
  if (const auto* path = std::get_if<relay::UnixPath>(&place.asked))
    return why(files::may_listen_path(grants, path->path));
  const auto& asked = std::get<relay::HostPort>(place.asked);
  const files::ListenDecision decision = files::may_listen(grants, asked.host, asked.port);
  if (decision && !allows(decision, place.at)) return "the rules grant other addresses now";
  return why(decision);
}

void PeerListeners::judge_again() {
  bool any = false;
  for (auto place = places_.begin(); place != places_.end();) {
    const auto why = why_withdrawn(**place);
    if (!why) {
      ++place;
      continue;
    }
    for (const std::string& name : (*place)->names) {
      log_event(LogLevel::notice, "listener_withdrawn", "{}: may listen on {} no longer: {}", who_,
                field("listener", name), field("reason", *why));
    }
    close(**place);
    closed_.push_back(std::move(*place));
    place = places_.erase(place);
    any = true;
  }
  if (any) changed_();
}

bool PeerListeners::cancel(const ssh::ListenRequested& request) {
  std::erase_if(closed_, [this](const auto& place) {
    const auto counters = place->forward->counters();
    const bool is_over = counters.live == 0 && counters.dialing == 0;
    if (is_over) of_closed_ += relay::traffic_of(counters);
    return is_over;
  });
  const auto found = std::ranges::find_if(places_, [&](const auto& place) {
    if (const auto* path = std::get_if<relay::UnixPath>(&place->asked))
      return request.is_path && path->path == request.host;
    const auto& at = std::get<relay::HostPort>(place->asked);
    return !request.is_path && at.host == request.host && at.port == request.port;
  });
  if (found == places_.end()) return false;
  close(**found);
  closed_.push_back(std::move(*found));
  places_.erase(found);
  changed_();
  return true;
}

void PeerListeners::close(Listening& place) {
  place.forward->stop();
  for (const std::string& name : place.names) {
    context_->listeners.lock()->remove(name, owner_);
    log_event(LogLevel::verbose, "listener_closed", "{}: listens on {} no longer", who_,
              field("listener", name));
  }
  place.taken.reset();
}

void PeerListeners::stop() {
  if (std::exchange(stopped_, true)) return;
  for (auto& place : std::exchange(places_, {})) {
    close(*place);
    closed_.push_back(std::move(place));
  }
  changed_();
  for (std::size_t left = std::exchange(requests_, {}).size(); left > 0; --left) answer(false, 0);
  arrived_.post(driver_->executor());
}

relay::Task<void> PeerListeners::drain(Duration time) {
  return [](std::shared_ptr<PeerListeners> self, Duration left) -> relay::Task<void> {
    for (std::size_t i = 0; i < self->closed_.size(); ++i)
      (void)co_await self->closed_[i]->forward->drain(left);
  }(shared_from_this(), time);
}

std::vector<std::string> PeerListeners::lines(const asio::ip::address& ours) const {
  std::vector<std::string> lines;
  for (const auto& place : places_) {
    for (const std::string& name : place->names) lines.push_back(name + way_to(name, ours));
  }
  return lines;
}

relay::Traffic PeerListeners::traffic() const {
  relay::Traffic all = of_closed_;
  for (const auto* list : {&places_, &closed_}) {
    for (const auto& place : *list) all += relay::traffic_of(place->forward->counters());
  }
  return all;
}

}  // namespace culvert::server

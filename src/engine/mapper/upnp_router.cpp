// SPDX-License-Identifier: Apache-2.0
#include "engine/mapper/upnp_router.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>

#include "engine/relay/signal.hpp"
#include "net/addresses.hpp"
#include "net/yield.hpp"
#include "proto/gateway/ssdp.hpp"

namespace culvert::mapper {

namespace asio = boost::asio;
namespace igd = gateway::igd;
namespace ssdp = gateway::ssdp;
using std::chrono::milliseconds;

namespace {

// Searches may get lost; answers come within a second (MX).
constexpr std::array<Duration, 3> kSearches = {milliseconds(300), milliseconds(700), milliseconds(1200)};
constexpr unsigned kMostDelay = 1;  // seconds
constexpr Duration kExchangeTime = std::chrono::seconds(3);
constexpr std::size_t kMostPlaces = 4;  // that say they are the router, and are tried
constexpr int kOtherPorts = 4;
constexpr std::string_view kDescription = "culvert";

std::uint16_t random_port(crypto::Random& random) {
  std::array<std::uint8_t, 2> bytes;
  random.fill(bytes);
  constexpr unsigned kFirst = 20000, kCount = 40000;
  return static_cast<std::uint16_t>(kFirst + (bytes[0] << 8 | bytes[1]) % kCount);
}

std::string upper_name(gateway::Protocol protocol) {
  return protocol == gateway::Protocol::tcp ? "TCP" : "UDP";
}

std::unexpected<Error> refusal(int error) { return fail(Errc::denied, igd::describe(error), error); }

bool is_refusal(const Error& error, int number) {
  return error.code == Errc::denied && error.detail == number;
}

const std::string* value_of(const igd::Reply& reply, const char* name) {
  const auto found = reply.values.find(name);
  return found == reply.values.end() ? nullptr : &found->second;
}

}  // namespace

void UpnpRouter::cancel() {
  is_cancelled_ = true;
  if (exchange_ != nullptr) exchange_->cancel();
  if (searching_ != nullptr) searching_->close();
}

/// Answers to a search as they come.
struct UpnpRouter::Search {
  net::DatagramPort port;
  relay::Signal heard;
  std::vector<gateway::HttpUrl> places;  // each once
  bool is_over = false;                  // nobody hears any more
};

relay::Task<Result<void>> UpnpRouter::find() {
  auto port = net::DatagramPort::open(executor_, route_.here, route_.index);
  if (!port) co_return std::unexpected(std::move(port).error());
  if (is_cancelled_) co_return cancelled();
  Search search{.port = std::move(*port), .heard = relay::Signal(executor_), .places = {}};
  searching_ = &search.port;
  asio::co_spawn(executor_, hear(search), [&search](const std::exception_ptr&) {
    search.is_over = true;
    search.heard.wake();
  });
  std::optional<Result<void>> found;
  co_await this->search(search, found);
  searching_ = nullptr;
  search.port.close();
  while (!search.is_over) co_await search.heard.wait();
  if (is_cancelled_) co_return cancelled();
  if (!found) co_return fail(Errc::timed_out, "no answer");
  co_return std::move(*found);
}

// Until one that answers describes itself well, or time is over: why the last one did not.
relay::Task<void> UpnpRouter::search(Search& search, std::optional<Result<void>>& found) {
  const bool is_v4 = route_.here.is_v4();
  const std::string_view group = is_v4 ? ssdp::kGroupV4 : ssdp::kGroupV6;
  std::size_t tried = 0;
  for (const Duration pause : kSearches) {
    for (const std::string_view target : ssdp::kRouters) {
      const std::string text = ssdp::search(group, target, kMostDelay);
      (void)search.port.send_to({asio::ip::make_address(group), ssdp::kPort}, as_bytes(text));
      // By its own address, as version 1.1 lets us, where multicast does not pass.
      if (is_v4) (void)search.port.send_to({route_.gateway, ssdp::kPort}, as_bytes(text));
    }
    const Instant begin = monotonic_now();
    while (!search.is_over) {
      if (tried < search.places.size()) {
        const gateway::HttpUrl where = search.places[tried++];
        found = co_await describe(where);
        if (*found) co_return;
        if (const auto host = address_of(where); host != route_.gateway)
          found->error().message = host.to_string() + " says it is the router: " + found->error().message;
        continue;
      }
      // Where one has answered, others may do so within the time that they were given.
      const Instant until = begin + (tried == 0 ? pause : Duration(std::chrono::seconds(kMostDelay)));
      const Instant now = monotonic_now();
      if (now >= until) break;
      co_await search.heard.wait(until - now);
    }
    if (tried > 0) co_return;
  }
}

relay::Task<void> UpnpRouter::hear(Search& search) {
  for (; search.places.size() < kMostPlaces; co_await net::yield()) {
    const auto datagram = co_await search.port.receive();
    if (!datagram && datagram.error().code == Errc::cancelled) break;
    if (!datagram) continue;  // ICMP of one of the searches
    const auto where = ssdp::read_answer(datagram->bytes);
    if (!where || !may_be_router(*where, datagram->from.address())) continue;
    if (std::ranges::find(search.places, *where) != search.places.end()) continue;
    search.places.push_back(*where);
    search.heard.wake();
  }
}

// Whoever is on the network can answer; only the router of this route is asked for anything.
bool UpnpRouter::may_be_router(const gateway::HttpUrl& where, const asio::ip::address& sender) const {
  const asio::ip::address host = address_of(where);
  if (route_.gateway.is_v4()) return host == route_.gateway && sender == route_.gateway;
  // A router of IPv6 has several addresses, of which the route names a link-local one. It speaks for itself.
  const bool is_itself = sender == host || sender == route_.gateway;
  return is_itself && host.is_v6() && !host.is_loopback() && !host.is_unspecified() && !host.is_multicast() &&
         !net::has_address(host);
}

relay::Task<Result<void>> UpnpRouter::describe(const gateway::HttpUrl& where) {
  const HttpAnswer answer = CO_TRY(co_await exchange(where, "", ""));
  if (answer.status != 200)
    co_return fail(Errc::malformed,
                   "it does not describe itself (HTTP " + std::to_string(answer.status) + ")");
  auto device = CO_TRY(igd::read_description(answer.body, where));
  const bool is_v4 = route_.here.is_v4();
  if (is_v4 ? !device.connection : !device.firewall)
    co_return fail(Errc::unsupported, is_v4 ? "it maps no ports" : "it has no pinholes for IPv6");
  device_ = std::move(device);
  host_ = address_of(where);
  co_return Result<void>();
}

// With its zone, if it is link-local.
asio::ip::address UpnpRouter::address_of(const gateway::HttpUrl& where) const {
  const asio::ip::address host = net::asio_address_of(where.host);
  if (!host.is_v6() || !host.to_v6().is_link_local()) return host;
  return asio::ip::address_v6(host.to_v6().to_bytes(), route_.index);
}

relay::Task<Result<HttpAnswer>> UpnpRouter::exchange(const gateway::HttpUrl& where, std::string soap_action,
                                                     std::string body) {
  if (is_cancelled_) co_return cancelled();
  HttpExchange exchange(executor_);
  exchange_ = &exchange;
  auto answer = co_await exchange.run({.server = {address_of(where), where.port},
                                       .from = route_.here,
                                       .authority = where.authority(),
                                       .path = where.path,
                                       .soap_action = std::move(soap_action),
                                       .body = std::move(body)},
                                      kExchangeTime);
  exchange_ = nullptr;
  co_return answer;
}

relay::Task<Result<igd::Reply>> UpnpRouter::act(const std::optional<igd::Service>& service,
                                                std::string_view action,
                                                std::span<const igd::Argument> arguments) {
  if (!service) co_return fail(Errc::unsupported, "it does not offer that");
  const HttpAnswer answer =
      CO_TRY(co_await exchange(service->control, service->type + "#" + std::string(action),
                               igd::action_body(service->type, action, arguments)));
  igd::Reply reply = CO_TRY(igd::read_reply(answer.body, answer.status == 200));
  if (reply.error != 0) co_return refusal(reply.error);
  co_return reply;
}

relay::Task<Result<IpAddress>> UpnpRouter::outside_address() {
  auto reply = co_await act(device_.connection, "GetExternalIPAddress", {});
  const auto address_in = [](const Result<igd::Reply>& from) -> std::optional<IpAddress> {
    const std::string* text = from ? value_of(*from, "NewExternalIPAddress") : nullptr;
    const auto address = text == nullptr ? std::nullopt : IpAddress::parse(*text);
    return address && !address->is_unspecified() ? address : std::nullopt;
  };
  auto address = address_in(reply);
  if (!address && device_.other_connection) {
    auto other = co_await act(device_.other_connection, "GetExternalIPAddress", {});
    if (address = address_in(other); address) std::swap(device_.connection, device_.other_connection);
  }
  if (address) co_return *address;
  if (!reply) co_return std::unexpected(std::move(reply).error());
  co_return fail(Errc::denied, "it has no address outside: its own connection may be down");
}

relay::Task<Result<UpnpRouter::Mapping>> UpnpRouter::map(Mapping wanted, crypto::Random& random) {
  if (wanted.outside == 0) wanted.outside = random_port(random);
  auto mapped = co_await try_map(wanted, device_.connection && device_.connection->is_second_version());
  for (int i = 0; !mapped && i < kOtherPorts; ++i) {
    const Error& error = mapped.error();
    if (error.code != Errc::denied) break;
    if (error.detail == igd::kSamePortsOnly && wanted.outside != wanted.inside) {
      wanted.outside = wanted.inside;
    } else if (error.detail == igd::kConflict || error.detail == igd::kOtherMechanism) {
      wanted.outside = random_port(random);
    } else {
      break;
    }
    mapped = co_await try_map(wanted, false);
  }
  co_return mapped;
}

relay::Task<Result<UpnpRouter::Mapping>> UpnpRouter::renew(Mapping mapping) {
  co_return co_await try_map(mapping, false);
}

relay::Task<Result<UpnpRouter::Mapping>> UpnpRouter::try_map(Mapping wanted, bool any_outside) {
  asked_for_ = wanted;
  const std::string outside = std::to_string(wanted.outside), inside = std::to_string(wanted.inside),
                    client = route_.here.to_string(), lease = std::to_string(wanted.lease),
                    protocol = upper_name(wanted.protocol);
  const std::array<igd::Argument, 8> arguments = {{{"NewRemoteHost", ""},
                                                   {"NewExternalPort", outside},
                                                   {"NewProtocol", protocol},
                                                   {"NewInternalPort", inside},
                                                   {"NewInternalClient", client},
                                                   {"NewEnabled", "1"},
                                                   {"NewPortMappingDescription", kDescription},
                                                   {"NewLeaseDuration", lease}}};
  const auto reply =
      co_await act(device_.connection, any_outside ? "AddAnyPortMapping" : "AddPortMapping", arguments);
  if (!reply) {
    // Routers that know no end of a mapping say so, or that they do not like the number.
    const bool wants_no_end =
        is_refusal(reply.error(), igd::kPermanentOnly) || is_refusal(reply.error(), igd::kInvalidArguments);
    if (wants_no_end && wanted.lease != 0) {
      wanted.lease = 0;
      co_return co_await try_map(wanted, any_outside);
    }
    constexpr int kUnknownAction = 401;
    if (any_outside && is_refusal(reply.error(), kUnknownAction)) co_return co_await try_map(wanted, false);
    co_return std::unexpected(reply.error());
  }
  if (!any_outside) co_return wanted;
  const std::string* reserved = value_of(*reply, "NewReservedPort");
  std::uint16_t port = 0;
  if (reserved != nullptr) (void)std::from_chars(reserved->data(), reserved->data() + reserved->size(), port);
  if (port != 0) wanted.outside = port;
  co_return wanted;
}

relay::Task<Result<void>> UpnpRouter::unmap(gateway::Protocol protocol, std::uint16_t outside) {
  const std::string port = std::to_string(outside), name = upper_name(protocol);
  const std::array<igd::Argument, 3> arguments = {
      {{"NewRemoteHost", ""}, {"NewExternalPort", port}, {"NewProtocol", name}}};
  CO_TRY(co_await act(device_.connection, "DeletePortMapping", arguments));
  co_return Result<void>();
}

relay::Task<Result<UpnpRouter::Holder>> UpnpRouter::holder_of(Mapping mapping) {
  const std::string port = std::to_string(mapping.outside), name = upper_name(mapping.protocol);
  const std::array<igd::Argument, 3> arguments = {
      {{"NewRemoteHost", ""}, {"NewExternalPort", port}, {"NewProtocol", name}}};
  const igd::Reply reply = CO_TRY(co_await act(device_.connection, "GetSpecificPortMappingEntry", arguments));
  const auto is_other = [&reply](const char* what, const std::string& ours) {
    const std::string* value = value_of(reply, what);
    return value != nullptr && !value->empty() && *value != ours;
  };
  const bool is_taken = is_other("NewInternalClient", route_.here.to_string()) ||
                        is_other("NewInternalPort", std::to_string(mapping.inside));
  co_return is_taken ? Holder::another : Holder::we;
}

relay::Task<Result<std::string>> UpnpRouter::open_pinhole(gateway::Protocol protocol, std::uint16_t port,
                                                          std::uint32_t lease) {
  const std::string number = std::to_string(port), client = route_.here.to_string(),
                    time = std::to_string(lease), of = std::to_string(static_cast<int>(protocol));
  const std::array<igd::Argument, 6> arguments = {{{"RemoteHost", ""},
                                                   {"RemotePort", "0"},
                                                   {"InternalClient", client},
                                                   {"InternalPort", number},
                                                   {"Protocol", of},
                                                   {"LeaseTime", time}}};
  const igd::Reply reply = CO_TRY(co_await act(device_.firewall, "AddPinhole", arguments));
  const std::string* unique = value_of(reply, "UniqueID");
  if (unique == nullptr) co_return fail(Errc::malformed, "its answer names no pinhole");
  co_return *unique;
}

relay::Task<Result<void>> UpnpRouter::renew_pinhole(const std::string& number, std::uint32_t lease) {
  const std::string time = std::to_string(lease);
  const std::array<igd::Argument, 2> arguments = {{{"UniqueID", number}, {"NewLeaseTime", time}}};
  CO_TRY(co_await act(device_.firewall, "UpdatePinhole", arguments));
  co_return Result<void>();
}

relay::Task<Result<void>> UpnpRouter::close_pinhole(const std::string& number) {
  const std::array<igd::Argument, 1> arguments = {{{"UniqueID", number}}};
  CO_TRY(co_await act(device_.firewall, "DeletePinhole", arguments));
  co_return Result<void>();
}

}  // namespace culvert::mapper

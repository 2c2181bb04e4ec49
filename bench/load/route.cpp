// SPDX-License-Identifier: Apache-2.0
#include "load/route.hpp"

#include <netinet/in.h>

#include <algorithm>

namespace culvert::load {
namespace {

constexpr std::uint8_t kVersion = 5;
constexpr std::uint8_t kConnect = 1;
constexpr std::uint8_t kIpv4 = 1;
constexpr std::uint8_t kIpv6 = 4;
constexpr std::size_t kReplySize = 10;  // with an IPv4 address

template <typename Part>
void append(std::vector<std::uint8_t>& out, const Part& part) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&part);
  out.insert(out.end(), bytes, bytes + sizeof part);
}

std::vector<std::uint8_t> request_for(const Address& to) {
  std::vector<std::uint8_t> request{kVersion, kConnect, 0};
  if (to.storage.ss_family == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(&to.storage);
    request.push_back(kIpv6);
    append(request, in6->sin6_addr);
    append(request, in6->sin6_port);
  } else {
    const auto* in = reinterpret_cast<const sockaddr_in*>(&to.storage);
    request.push_back(kIpv4);
    append(request, in->sin_addr);
    append(request, in->sin_port);
  }
  return request;
}

}  // namespace

bool Exchange::accepts(std::span<const std::uint8_t> answer) const {
  return answer.size() == answer_size && std::ranges::equal(answer.first(beginning.size()), beginning);
}

Route socks_route(const Address& proxy, const Address& to) {
  return {.first = proxy,
          .greeting = {
              {.words = {kVersion, 1, 0}, .beginning = {kVersion, 0}, .answer_size = 2},
              {.words = request_for(to), .beginning = {kVersion, 0, 0, kIpv4}, .answer_size = kReplySize}}};
}

Route route_from(Options& options) {
  const Address to = parse_address(options.text("to"));
  const std::string proxy = options.text("socks", "");
  return proxy.empty() ? Route{.first = to} : socks_route(parse_address(proxy), to);
}

Fd connect_along(const Route& route, double seconds) {
  Fd fd = connect_to(route.first, seconds);
  for (const Exchange& exchange : route.greeting) {
    std::vector<std::uint8_t> answer(exchange.answer_size);
    if (!send_all(fd.get(), exchange.words) || !receive_all(fd.get(), answer))
      die("the proxy ended the connection");
    if (!exchange.accepts(answer)) die("the proxy refused");
  }
  return fd;
}

}  // namespace culvert::load

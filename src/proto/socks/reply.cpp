// SPDX-License-Identifier: Apache-2.0
#include "proto/socks/reply.hpp"

#include <array>
#include <string>

#include <fmt/format.h>

#include "base/wire.hpp"

namespace culvert::socks {
namespace {

constexpr std::uint8_t kGranted4 = 90;
constexpr std::uint8_t kRejected4 = 91;

struct Row {
  Failure failure;
  std::uint8_t socks5;
  int http;
  std::string_view proxy_error;  // RFC 9209 section 2.3
};

constexpr std::array kRows = {
    Row{Failure::general, 1, 502, "proxy_internal_error"},
    Row{Failure::prohibited, 2, 403, "destination_ip_prohibited"},
    Row{Failure::network_unreachable, 3, 502, "destination_ip_unroutable"},
    Row{Failure::host_unreachable, 4, 502, "destination_unavailable"},
    Row{Failure::connection_refused, 5, 502, "connection_refused"},
    Row{Failure::timed_out, 6, 504, "connection_timeout"},
    Row{Failure::unsupported, 7, 501, "proxy_configuration_error"},
    Row{Failure::overloaded, 1, 503, "connection_limit_reached"},
};

const Row& row_of(Failure failure) {
  for (const Row& row : kRows) {
    if (row.failure == failure) return row;
  }
  return kRows[0];
}

Writer& put_u16(Writer& writer, std::uint16_t value) {
  return writer.byte(static_cast<std::uint8_t>(value >> 8)).byte(static_cast<std::uint8_t>(value));
}

void write_socks4(std::uint8_t code, const Address& bound, Bytes& out) {
  Writer writer(out);
  put_u16(writer.byte(0).byte(code), bound.port).bytes(parse_ipv4(bound.host).value_or(Ipv4{}));
}

void write_socks5(std::uint8_t code, const Address& bound, Bytes& out) {
  Writer writer(out);
  writer.byte(5).byte(code).byte(0);
  if (const auto v6 = parse_ipv6(bound.host)) {
    writer.byte(4).bytes(*v6);
  } else {
    writer.byte(1).bytes(parse_ipv4(bound.host).value_or(Ipv4{}));
  }
  put_u16(writer, bound.port);
}

std::string_view phrase(int status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 405:
      return "Method Not Allowed";
    case 407:
      return "Proxy Authentication Required";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Bad Gateway";
  }
}

}  // namespace

void write_success(Protocol protocol, const Address& bound, Bytes& out) {
  switch (protocol) {
    case Protocol::socks4:
      return write_socks4(kGranted4, bound, out);
    case Protocol::socks5:
      return write_socks5(0, bound, out);
    case Protocol::http:
      // RFC 9110 section 9.3.6: no Content-Length, what follows is the tunnel.
      Writer(out).bytes(as_bytes("HTTP/1.1 200 Connection established\r\n\r\n"));
  }
}

void write_failure(Protocol protocol, Failure failure, Bytes& out) {
  const Row& row = row_of(failure);
  switch (protocol) {
    case Protocol::socks4:
      return write_socks4(kRejected4, {}, out);
    case Protocol::socks5:
      return write_socks5_reply(row.socks5, out);
    case Protocol::http:
      return write_http_response(row.http,
                                 fmt::format("Proxy-Status: culvert; error={}\r\n", row.proxy_error), out);
  }
}

void write_socks5_reply(std::uint8_t code, Bytes& out) { write_socks5(code, {}, out); }

void write_http_response(int status, std::string_view fields, Bytes& out) {
  const std::string head = fmt::format("HTTP/1.1 {} {}\r\n{}Content-Length: 0\r\nConnection: close\r\n\r\n",
                                       status, phrase(status), fields);
  Writer(out).bytes(as_bytes(head));
}

}  // namespace culvert::socks

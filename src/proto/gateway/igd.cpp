// SPDX-License-Identifier: Apache-2.0
#include "proto/gateway/igd.hpp"

#include <charconv>
#include <cstring>
#include <memory>

#include <miniupnpc/igd_desc_parse.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpreplyparse.h>

#include "base/text.hpp"

namespace culvert::gateway::igd {
namespace {

template <std::size_t N>
std::string_view text_of(const char (&field)[N]) {
  return {field, ::strnlen(field, N)};
}

std::optional<Service> service_of(const IGDdatas_service& found, std::string_view kind, const HttpUrl& base) {
  const std::string_view type = text_of(found.servicetype);
  if (type.find(kind) == std::string_view::npos || !is_printable(type) ||
      type.find_first_of("\"<>&") != std::string_view::npos) {
    return std::nullopt;
  }
  const auto control = base.resolve(text_of(found.controlurl));
  if (!control) return std::nullopt;
  return Service{std::string(type), *control};
}

// The parser looks at bytes before it looks where the end is.
std::string with_zeros_behind(std::string_view xml) {
  constexpr std::size_t kAhead = 16;
  return std::string(xml).append(kAhead, '\0');
}

void append_escaped(std::string& to, std::string_view text) {
  for (const char c : text) {
    switch (c) {
      case '<':
        to += "&lt;";
        break;
      case '>':
        to += "&gt;";
        break;
      case '&':
        to += "&amp;";
        break;
      default:
        to += c;
    }
  }
}

}  // namespace

Result<Device> read_description(std::string_view xml, const HttpUrl& from) {
  if (xml.size() > kMostXml) return fail(Errc::limit, "its description is too long");
  const auto data = std::make_unique<IGDdatas>();
  ::parserootdesc(with_zeros_behind(xml).c_str(), static_cast<int>(xml.size()), data.get());
  const auto named = from.resolve(text_of(data->urlbase));
  const HttpUrl& base = named ? *named : from;
  Device device;
  for (const IGDdatas_service* found : {&data->first, &data->second}) {
    auto service = service_of(*found, ":service:WANIPConnection:", base);
    if (!service) service = service_of(*found, ":service:WANPPPConnection:", base);
    if (!service) continue;
    (device.connection ? device.other_connection : device.connection) = std::move(service);
  }
  device.firewall = service_of(data->IPv6FC, ":service:WANIPv6FirewallControl:", base);
  if (!device.connection && !device.firewall)
    return fail(Errc::malformed, "its description names no service that opens ports");
  return device;
}

std::string action_body(std::string_view service, std::string_view action,
                        std::span<const Argument> arguments) {
  std::string body =
      "<?xml version=\"1.0\"?>\r\n"
      "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
      "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:";
  body += action;
  body += " xmlns:u=\"";
  body += service;
  body += "\">";
  for (const auto& [name, value] : arguments) {
    body += '<';
    body += name;
    body += '>';
    append_escaped(body, value);
    body += "</";
    body += name;
    body += '>';
  }
  body += "</u:";
  body += action;
  return body + "></s:Body></s:Envelope>\r\n";
}

Result<Reply> read_reply(std::string_view xml, bool succeeded) {
  if (xml.size() > kMostXml) return fail(Errc::limit, "its answer is too long");
  NameValueParserData data = {};
  ::ParseNameValue(with_zeros_behind(xml).c_str(), static_cast<int>(xml.size()), &data);
  Reply reply;
  for (const NameValue* one = data.l_head; one != nullptr; one = one->l_next)
    reply.values.emplace(text_of(one->name), text_of(one->value));
  ::ClearNameValueList(&data);
  const auto error = reply.values.find("errorCode");
  if (error == reply.values.end()) {
    if (!succeeded) return fail(Errc::malformed, "its answer is an error that cannot be read");
    return reply;
  }
  const std::string& digits = error->second;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), reply.error);
  if (failed != std::errc() || end != digits.data() + digits.size() || reply.error <= 0)
    return fail(Errc::malformed, "its answer is an error that cannot be read");
  return reply;
}

std::string describe(int error) {
  const auto text = [error]() -> std::string_view {
    switch (error) {
      case 401:
        return "it does not know this action";
      case kInvalidArguments:
        return "it does not take these values";
      case 501:
        return "it failed";
      case 606:
        return "it does not allow that";
      case 701:
        return "it does not map between these ports";
      case 702:
        return "its firewall is off, or opens nothing";
      case 703:
        return "it does not let pinholes in";
      case 704:
        return "there is no such pinhole any more";
      case 714:
        return "there is no such port any more";
      case kConflict:
        return "somebody else has this port";
      case kSamePortsOnly:
        return "it opens a port only for the same one inside";
      case kPermanentOnly:
        return "it opens ports without an end only";
      case 728:
        return "it has no free port";
      case kOtherMechanism:
        return "this port is opened by other means";
      default:
        return "it refuses";
    }
  }();
  return std::string(text) + " (error " + std::to_string(error) + ")";
}

}  // namespace culvert::gateway::igd

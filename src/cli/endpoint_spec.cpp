// SPDX-License-Identifier: Apache-2.0
#include "cli/endpoint_spec.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "cli/spec_fields.hpp"
#include "cli/values.hpp"

namespace culvert::cli {
namespace {

constexpr std::size_t kMaxName = 1024;  // NI_MAXHOST without its zero byte
constexpr std::size_t kMaxPath = 107;   // sockaddr_un

Result<relay::HostPort> host_port_of(const Field& host, const Field& port) {
  TRY(check_host_name(host.text));
  return relay::HostPort{host.text, TRY(parse_port(port.text))};
}

Result<relay::HostPort> listener_of(const Field* bind, const Field& port) {
  relay::HostPort listener{"", TRY(parse_port(port.text, true))};
  if (bind == nullptr) return listener;
  listener.host = bind->text.empty() ? "*" : bind->text;
  if (listener.host != "*") TRY(check_host_name(listener.host));
  return listener;
}

bool is_control(char letter) { return static_cast<unsigned char>(letter) < 0x20 || letter == 0x7F; }

Result<void> check_name(std::string_view what, std::string_view name, std::string_view forbidden) {
  if (name.empty()) return fail(Errc::usage, fmt::format("the {} is empty", what));
  if (name.size() > kMaxName) return fail(Errc::usage, fmt::format("the {} is too long", what));
  if (name[0] == '-')
    return fail(Errc::usage, fmt::format("the {} {} begins with '-'", what, in_quotes(name)));
  const auto bad = std::ranges::find_if(name, [&](char letter) {
    return is_control(letter) || forbidden.find(letter) != std::string_view::npos;
  });
  if (bad == name.end()) return {};
  return fail(Errc::usage, fmt::format("the {} {} contains {}", what, in_quotes(name),
                                       in_quotes(std::string_view(bad, 1))));
}

// '/', or what is expanded (plan_builder.cpp) and has one.
bool begins_path(std::string_view field) {
  const bool is_expanded = field.starts_with('~') || field.starts_with('%') || field.starts_with("${");
  return field.starts_with('/') || (is_expanded && field.find('/') != field.npos);
}

enum class Form : std::uint8_t { host, host_and_port, uri };

// `text` is what errors quote; `rest` it without a scheme.
Result<Destination> parse_place(std::string_view text, std::string_view rest, Form form) {
  Destination destination;
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    destination.user = rest.substr(0, at);
    if (form == Form::uri) {
      std::ranges::replace(*destination.user, '+', ' ');  // as ssh has it
      const auto decoded = percent_decoded(*destination.user);
      if (!decoded) return wrong(text, decoded.error().message);
      destination.user = decoded->text();
    }
    TRY(check_user_name(*destination.user));
    rest.remove_prefix(at + 1);
  }
  if (form != Form::host && rest.ends_with('/')) rest.remove_suffix(1);
  std::string_view port;
  if (rest.starts_with('[')) {
    const auto close = rest.find(']');
    if (close == std::string_view::npos) return wrong(text, "'[' without ']'");
    port = rest.substr(close + 1);
    destination.host = rest.substr(1, close - 1);
  } else if (const auto colon = rest.find(':'); form != Form::host && colon != std::string_view::npos) {
    port = rest.substr(colon);
    destination.host = rest.substr(0, colon);
  } else {
    destination.host = rest;
  }
  if (!port.empty()) {
    if (form == Form::host || port[0] != ':')
      return wrong(text, "not [user@]host; give the port with -p, or as ssh://host:port");
    destination.port = TRY(parse_port(port.substr(1)));
  }
  TRY(check_host_name(destination.host));
  return destination;
}

}  // namespace

std::unexpected<Error> wrong(std::string_view text, std::string_view why) {
  return fail(Errc::usage, fmt::format("{}: {}", in_quotes(text), why));
}

Result<std::vector<Field>> fields_of(std::string_view text) {
  std::vector<Field> fields;
  std::string_view rest = text;
  for (;;) {
    Field field;
    if (rest.starts_with('[')) {
      const auto close = rest.find(']');
      if (close == std::string_view::npos) return wrong(text, "'[' without ']'");
      field.text = rest.substr(1, close - 1);
      rest.remove_prefix(close + 1);
      if (!rest.empty() && rest[0] != ':') return wrong(text, "':' expected behind ']'");
    } else {
      field.is_path = begins_path(rest.substr(0, rest.find(':')));
      while (!rest.empty() && rest[0] != ':') {
        if (rest[0] == '\\' && rest.size() > 1) rest.remove_prefix(1);
        field.text += rest[0];
        rest.remove_prefix(1);
      }
    }
    fields.push_back(std::move(field));
    if (rest.empty()) return fields;
    rest.remove_prefix(1);
  }
}

Result<relay::UnixPath> path_of(const Field& field) {
  if (field.text.size() > kMaxPath) {
    return wrong(field.text, fmt::format("the path of a Unix socket has at most {} bytes", kMaxPath));
  }
  return relay::UnixPath{field.text};
}

Result<daemon::LocalForward> parse_local_forward(std::string_view text) {
  const std::vector<Field> fields = TRY(fields_of(text));
  const auto path = [&](std::size_t i) { return fields[i].is_path; };
  daemon::LocalForward forward;
  switch (fields.size()) {
    case 2:  // /path:/path, port:/path
      if (!path(1)) break;
      if (path(0)) {
        forward.listen.endpoint = TRY(path_of(fields[0]));
      } else {
        forward.listen.endpoint = TRY(listener_of(nullptr, fields[0]));
      }
      forward.destination = TRY(path_of(fields[1]));
      return forward;
    case 3:  // /path:host:port, bind:port:/path, port:host:port
      if (path(0)) {
        forward.listen.endpoint = TRY(path_of(fields[0]));
        forward.destination = TRY(host_port_of(fields[1], fields[2]));
      } else if (path(2)) {
        forward.listen.endpoint = TRY(listener_of(&fields[0], fields[1]));
        forward.destination = TRY(path_of(fields[2]));
      } else {
        forward.listen.endpoint = TRY(listener_of(nullptr, fields[0]));
        forward.destination = TRY(host_port_of(fields[1], fields[2]));
      }
      return forward;
    case 4:  // bind:port:host:port
      if (path(0) || path(1) || path(2) || path(3)) break;
      forward.listen.endpoint = TRY(listener_of(&fields[0], fields[1]));
      forward.destination = TRY(host_port_of(fields[2], fields[3]));
      return forward;
    default:
      break;
  }
  return wrong(
      text, "not [bind:]port:host:hostport, where either side may be a /path and IPv6 stands in [brackets]");
}

Result<daemon::DynamicForward> parse_dynamic_forward(std::string_view text) {
  const std::vector<Field> fields = TRY(fields_of(text));
  const bool has_bind = fields.size() == 2;
  daemon::DynamicForward forward;
  if (fields.size() == 1 && fields[0].is_path) {
    forward.listen.endpoint = TRY(path_of(fields[0]));
  } else if (fields.size() > 2 || fields[0].is_path || fields.back().is_path) {
    return wrong(text, "not [bind:]port, where IPv6 stands in [brackets], or a /path");
  } else {
    forward.listen.endpoint = TRY(listener_of(has_bind ? &fields[0] : nullptr, fields.back()));
  }
  return forward;
}

Result<daemon::RemoteForward> parse_remote_forward(std::string_view text) {
  const std::vector<Field> fields = TRY(fields_of(text));
  const bool names_no_destination =
      fields.size() == 1 || (fields.size() == 2 && !fields[0].is_path && !fields[1].is_path);
  daemon::RemoteForward forward;
  if (names_no_destination) {
    forward.listen = TRY(parse_dynamic_forward(text)).listen.endpoint;
  } else {
    daemon::LocalForward both = TRY(parse_local_forward(text));
    forward.listen = std::move(both.listen.endpoint);
    forward.destination = std::move(both.destination);
  }
  return forward;
}

Result<relay::HostPort> parse_stdio_destination(std::string_view text) {
  const std::vector<Field> fields = TRY(fields_of(text));
  if (fields.size() != 2 || fields[0].is_path) return wrong(text, "not host:port (IPv6 in [brackets])");
  return host_port_of(fields[0], fields[1]);
}

Result<Destination> parse_destination(std::string_view text) {
  constexpr std::string_view kScheme = "ssh://";
  const bool is_uri =
      text.size() >= kScheme.size() && equal_ignoring_case(text.substr(0, kScheme.size()), kScheme);
  return parse_place(text, is_uri ? text.substr(kScheme.size()) : text, is_uri ? Form::uri : Form::host);
}

Result<relay::HostPort> parse_permitted(std::string_view text) {
  const std::vector<Field> fields = TRY(fields_of(text));
  if (fields.size() != 2 || fields[0].text.empty() || fields[0].is_path)
    return wrong(text, "not host:port, where either may be \"*\" and IPv6 stands in [brackets]");
  relay::HostPort rule{fields[0].text, 0};
  if (fields[1].text != "*") rule.port = TRY(parse_port(fields[1].text));
  return rule;
}

Result<std::vector<Destination>> parse_jumps(std::string_view text) {
  std::vector<Destination> hops;
  for (const std::string_view hop : split(text, ',')) {
    auto destination =
        hop.contains("://") ? parse_destination(hop) : parse_place(hop, hop, Form::host_and_port);
    if (!destination) return wrong(text, destination.error().message);
    hops.push_back(std::move(*destination));
  }
  return hops;
}

Result<tunnel::ProxyVia> parse_proxy_via(std::string_view text) {
  tunnel::ProxyVia via;
  std::string_view rest = text;
  const auto takes = [&](std::string_view scheme) {
    if (!equal_ignoring_case(rest.substr(0, scheme.size()), scheme)) return false;
    rest.remove_prefix(scheme.size());
    return true;
  };
  if (takes("http://")) {
    via.is_http = true;
    via.port = 8080;
  } else if (takes("socks5://") || takes("socks5h://")) {
    via.port = 1080;
  } else {
    return fail(Errc::usage,
                "not socks5://[user:password@]host[:port] or http://[user:password@]host[:port]");
  }
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    const std::string_view login = rest.substr(0, at);
    const auto colon = login.find(':');
    if (colon == std::string_view::npos || colon == 0)
      return fail(Errc::usage, "user:password expected in front of '@'");  // quotes no password
    via.user = TRY(percent_decoded(login.substr(0, colon))).text();
    via.password = std::make_shared<const SecretBytes>(TRY(percent_decoded(login.substr(colon + 1))));
    rest.remove_prefix(at + 1);
  }
  const Destination place = TRY(parse_place(rest, rest, Form::host_and_port));
  via.host = place.host;
  via.port = place.port.value_or(via.port);
  return via;
}

Result<void> check_host_name(std::string_view host) {
  return check_name("host name", host, " \"'`$\\;&<>|(){}[]*?!#~,/");
}

Result<void> check_user_name(std::string_view user) {
  TRY(check_name("user name", user, "\"'`$;&<>|(){}*?"));
  if (user.ends_with('\\'))
    return fail(Errc::usage, fmt::format("the user name {} ends in '\\'", in_quotes(user)));
  if (user.find(" -") != std::string_view::npos) {
    return fail(Errc::usage, fmt::format("the user name {} contains \" -\"", in_quotes(user)));
  }
  return {};
}

}  // namespace culvert::cli

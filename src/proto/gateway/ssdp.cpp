// SPDX-License-Identifier: Apache-2.0
#include "proto/gateway/ssdp.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace culvert::gateway::ssdp {
namespace {

std::string_view take_line(std::string_view& text) {
  const auto end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

std::string search(std::string_view host, std::string_view target, unsigned seconds) {
  std::string text = "M-SEARCH * HTTP/1.1\r\nHOST: ";
  text += host.find(':') == std::string_view::npos ? std::string(host) : "[" + std::string(host) + "]";
  text += ":1900\r\nMAN: \"ssdp:discover\"\r\nMX: " + std::to_string(seconds) + "\r\nST: ";
  text += target;
  return text + "\r\n\r\n";
}

std::optional<HttpUrl> read_answer(ByteView datagram) {
  std::string_view text = as_text(datagram);
  const std::string_view first = take_line(text);
  if (!first.starts_with("HTTP/1.") || first.find(" 200") == std::string_view::npos) return std::nullopt;
  std::optional<HttpUrl> where;
  bool is_router = false;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string name = lower(trimmed(line.substr(0, colon)));
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (name == "location" && !where) where = HttpUrl::parse(value);
    if (name == "st") is_router = std::ranges::find(kRouters, value) != kRouters.end();
  }
  return is_router ? where : std::nullopt;
}

}  // namespace culvert::gateway::ssdp

// SPDX-License-Identifier: Apache-2.0
#include "proto/gateway/http_url.hpp"

#include <algorithm>
#include <charconv>

#include "base/text.hpp"

namespace culvert::gateway {
namespace {

constexpr std::string_view kScheme = "http://";

bool is_path(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7F; });
}

bool has_scheme(std::string_view text) {
  return text.size() >= kScheme.size() && lower(text.substr(0, kScheme.size())) == kScheme;
}

// "[address]" or "address"; a zone is this machine's business.
std::optional<IpAddress> take_host(std::string_view& text) {
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view inside = text.substr(1, end - 1);
    const auto address = IpAddress::parse(inside.substr(0, inside.find('%')));
    text.remove_prefix(end + 1);
    return address && !address->is_v4() ? address : std::nullopt;
  }
  const auto end = std::min(text.find_first_of(":/?"), text.size());
  const auto address = IpAddress::parse(text.substr(0, end));
  text.remove_prefix(end);
  return address;
}

}  // namespace

std::optional<HttpUrl> HttpUrl::parse(std::string_view text) {
  if (text.size() > kLongest || !has_scheme(text)) return std::nullopt;
  text.remove_prefix(kScheme.size());
  HttpUrl url;
  const auto host = take_host(text);
  if (!host) return std::nullopt;
  url.host = *host;
  if (text.starts_with(':')) {
    text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), url.port);
    if (error != std::errc() || url.port == 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
  if (text.empty()) return url;
  if ((text[0] != '/' && text[0] != '?') || !is_path(text)) return std::nullopt;
  url.path = text[0] == '?' ? "/" + std::string(text) : std::string(text);
  return url;
}

std::optional<HttpUrl> HttpUrl::resolve(std::string_view reference) const {
  if (reference.empty() || reference.size() > kLongest) return std::nullopt;
  if (reference.find("://") != std::string_view::npos) {
    const auto url = parse(reference);
    return url && url->host == host ? url : std::nullopt;
  }
  if (!is_path(reference) || reference.starts_with("//")) return std::nullopt;
  HttpUrl url = *this;
  if (reference[0] == '/') {
    url.path = reference;
  } else {
    const std::string_view folder = std::string_view(path).substr(0, path.find('?'));
    url.path = std::string(folder.substr(0, folder.rfind('/') + 1)) + std::string(reference);
  }
  if (url.path.size() > kLongest) return std::nullopt;
  return url;
}

std::string HttpUrl::authority() const { return with_port(host.text(), port); }

}  // namespace culvert::gateway

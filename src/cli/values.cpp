// SPDX-License-Identifier: Apache-2.0
#include "cli/values.hpp"

#include <netdb.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "base/text.hpp"

namespace culvert::cli {
namespace {

// Digits from the front of `text`, which loses them; none if there is no digit or the value does not fit.
Result<std::uint64_t> take_digits(std::string_view& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return fail(Errc::usage, "not a number");
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::uint64_t seconds_of(char unit) {
  switch (lower(unit)) {
    case 's':
      return 1;
    case 'm':
      return 60;
    case 'h':
      return 3600;
    case 'd':
      return 24 * 3600;
    case 'w':
      return 7 * 24 * 3600;
    default:
      return 0;
  }
}

}  // namespace

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string in_quotes(std::string_view text) { return '"' + printable(text, 200) + '"'; }

Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t min, std::uint64_t max) {
  std::string_view rest = text;
  const auto value = take_digits(rest);
  if (value && rest.empty() && *value >= min && *value <= max) return value;
  if (max == std::numeric_limits<std::uint64_t>::max()) {
    return fail(Errc::usage, fmt::format("{} is not a number from {} up", in_quotes(text), min));
  }
  return fail(Errc::usage, fmt::format("{} is not a number from {} to {}", in_quotes(text), min, max));
}

Result<std::uint16_t> parse_port(std::string_view text, bool zero_allowed) {
  if (const auto number = parse_number(text, zero_allowed ? 0 : 1, 65535)) {
    return static_cast<std::uint16_t>(*number);
  }
  // Only what can be a name goes to the service database, which may ask the network.
  const bool is_name = !text.empty() && text.size() < 64 &&
                       std::ranges::all_of(
                           text,
                           [](char letter) {
                             const char small = lower(letter);
                             return (small >= 'a' && small <= 'z') || (small >= '0' && small <= '9') ||
                                    small == '-' || small == '_';
                           }) &&
                       !std::ranges::all_of(text, [](char letter) { return letter >= '0' && letter <= '9'; });
  if (is_name && text[0] != '-') {
    if (const servent* service = ::getservbyname(std::string(text).c_str(), "tcp")) {
      return ntohs(static_cast<std::uint16_t>(service->s_port));
    }
  }
  return fail(Errc::usage, fmt::format("{} is not a port ({} to 65535, or a service's name)", in_quotes(text),
                                       zero_allowed ? 0 : 1));
}

Result<bool> parse_flag(std::string_view text) {
  const std::string word = lower(text);
  if (word == "yes" || word == "true") return true;
  if (word == "no" || word == "false") return false;
  return fail(Errc::usage, fmt::format("{} is neither yes nor no", in_quotes(text)));
}

Result<Duration> parse_time(std::string_view text) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int32_t>::max();
  const auto wrong = [&] {
    return fail(Errc::usage,
                fmt::format("{} is not a time (seconds, or like 90s, 1h30m, 2d)", in_quotes(text)));
  };
  std::string_view rest = text;
  std::uint64_t seconds = 0;
  if (rest.empty()) return wrong();
  while (!rest.empty()) {
    const auto digits = take_digits(rest);
    if (!digits || *digits > kMost) return wrong();
    std::uint64_t unit = 1;
    if (!rest.empty()) {
      unit = seconds_of(rest[0]);
      if (unit == 0) return wrong();
      rest.remove_prefix(1);
    }
    seconds += *digits * unit;  // at most 2^31 * 2^20 + 2^31: cannot wrap
    if (seconds > kMost) return wrong();
  }
  return std::chrono::duration_cast<Duration>(std::chrono::seconds(seconds));
}

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto wrong = [&] {
    return fail(Errc::usage, fmt::format("{} is not a size (bytes, or like 512K, 64M, 1G)", in_quotes(text)));
  };
  std::string_view rest = text;
  const auto digits = take_digits(rest);
  if (!digits || rest.size() > 1) return wrong();
  unsigned shift = 0;
  if (!rest.empty()) {
    switch (lower(rest[0])) {
      case 'k':
        shift = 10;
        break;
      case 'm':
        shift = 20;
        break;
      case 'g':
        shift = 30;
        break;
      default:
        return wrong();
    }
  }
  if (*digits > (std::numeric_limits<std::int64_t>::max() >> shift)) return wrong();
  return *digits << shift;
}

Result<unsigned> parse_permissions(std::string_view text) {
  constexpr unsigned kMost = 0777;
  unsigned bits = text.empty() ? kMost + 1 : 0;
  for (const char digit : text) {
    const bool is_octal = digit >= '0' && digit <= '7';
    bits = is_octal && bits <= kMost ? bits * 8 + static_cast<unsigned>(digit - '0') : kMost + 1;
  }
  if (bits > kMost)
    return fail(Errc::usage, fmt::format("{} is not an octal number (0 to 0777)", in_quotes(text)));
  return bits;
}

Result<SecretBytes> percent_decoded(std::string_view text) {
  SecretBytes decoded(text.size());
  std::size_t size = 0;
  while (!text.empty()) {
    auto byte = static_cast<std::uint8_t>(text[0]);
    std::size_t taken = 1;
    if (byte == '%') {
      const std::string_view digits = text.substr(1, 2);
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
      if (error != std::errc{} || end != digits.data() + 2)
        return fail(Errc::usage, "'%' without two hexadecimal digits in front of '@' (\"%25\" is a '%')");
      if (byte == 0) return fail(Errc::usage, "\"%00\" in front of '@'");
      taken = 3;
    }
    decoded.data()[size++] = byte;
    text.remove_prefix(taken);
  }
  return SecretBytes(decoded.view().first(size));
}

Result<relay::ProxyHeaderVersion> parse_proxy_version(std::string_view text) {
  if (text == "v1") return relay::ProxyHeaderVersion::v1;
  if (text == "v2") return relay::ProxyHeaderVersion::v2;
  return fail(Errc::usage, in_quotes(text) + " is not a version of the PROXY protocol (v1 or v2)");
}

}  // namespace culvert::cli

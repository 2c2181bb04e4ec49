// SPDX-License-Identifier: Apache-2.0
#include "files/key_options.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "base/wire.hpp"
#include "files/source_list.hpp"

namespace culvert::files {
namespace {

constexpr std::size_t kMaxHost = 1024;  ///< bytes; NI_MAXHOST without its zero

/// May have "no-" in front. Those about port forwarding are not here: they count.
constexpr std::array<std::string_view, 6> kIgnoredFlags = {
    "agent-forwarding", "x11-forwarding", "pty", "user-rc", "touch-required", "verify-required"};
constexpr std::array<std::string_view, 9> kValues = {"permitopen",  "permitlisten", "command",
                                                     "from",        "principals",   "expiry-time",
                                                     "environment", "tunnel",       "zos-key-ring-label"};

std::unexpected<Error> unknown(std::string_view name) {
  return fail(Errc::malformed, fmt::format("unknown key option \"{}\"", printable(name, 64)));
}

/// Takes a value in double quotes. A backslash stands for itself, but in front of a quote.
Result<std::string> take_quoted(std::string_view& rest, std::string_view name) {
  if (!rest.starts_with('"'))
    return fail(Errc::malformed, fmt::format("value of {} is not in double quotes", name));
  std::string value;
  for (std::size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '"') {
      rest.remove_prefix(i + 1);
      return value;
    }
    if (rest[i] == '\\' && i + 1 < rest.size() && rest[i + 1] == '"') ++i;
    value += rest[i];
  }
  return fail(Errc::malformed, fmt::format("value of {} has no closing quote", name));
}

std::optional<unsigned> number_of(std::string_view digits) {
  unsigned value = 0;
  if (digits.empty() || digits.size() > 5) return std::nullopt;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

Result<Permit> parse_permit(std::string_view text, std::string_view name) {
  const auto wrong = [&](std::string_view why) {
    return fail(Errc::malformed, fmt::format("{}=\"{}\": {}", name, printable(text, 100), why));
  };
  std::string_view host = text;
  std::string_view port;
  if (name == "permitlisten" && text.find(':') == text.npos) {
    host = "*";
    port = text;
  } else {
    std::size_t end = text.find_first_of(":/");  // OpenSSH takes both
    if (text.starts_with('[')) {
      end = text.find(']');
      if (end == text.npos) return wrong("bracket is not closed");
      host = text.substr(1, end - 1);
      ++end;
      if (end < text.size() && text[end] != ':' && text[end] != '/') return wrong("host is malformed");
    } else {
      host = text.substr(0, end);
    }
    if (end >= text.size()) return wrong("port is missing");
    port = text.substr(end + 1);
  }
  if (host.size() > kMaxHost) return wrong("host is too long");
  if (port == "*") return Permit{std::string(host), 0};
  const auto number = number_of(port);
  if (!number || *number == 0 || *number > 65535) return wrong("port is no number from 1 to 65535");
  return Permit{std::string(host), static_cast<std::uint16_t>(*number)};
}

/// "YYYYMMDD", "YYYYMMDDHHMM" or "YYYYMMDDHHMMSS", then "Z" or "UTC" or nothing for local time.
Result<UnixSeconds> parse_time(std::string_view text, const LocalToUtc& local_to_utc) {
  const auto wrong = [&] {
    return fail(Errc::malformed, fmt::format("expiry-time=\"{}\" is no time like 20271231Z or 202712312359",
                                             printable(text, 64)));
  };
  const std::string small = lower(text);
  std::string_view rest = small;
  const bool is_utc = rest.ends_with('z') || rest.ends_with("utc");
  if (is_utc) rest.remove_suffix(rest.ends_with('z') ? 1 : 3);
  if (rest.size() != 8 && rest.size() != 12 && rest.size() != 14) return wrong();
  std::array<unsigned, 6> parts{};
  for (std::size_t i = 0; i < parts.size() && !rest.empty(); ++i) {
    const std::size_t width = i == 0 ? 4 : 2;
    const auto number = number_of(rest.substr(0, width));
    if (!number) return wrong();
    parts[i] = *number;
    rest.remove_prefix(width);
  }
  const auto [year, month, day, hour, minute, second] = parts;
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(year)), std::chrono::month(month),
                                         std::chrono::day(day));
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return wrong();
  const UnixSeconds days = std::chrono::sys_days(date).time_since_epoch().count();
  const UnixSeconds seconds = days * 86400 + hour * 3600 + minute * 60 + second;
  const UnixSeconds time = is_utc ? seconds : local_to_utc(seconds);
  if (time <= 0) return wrong();
  return time;
}

void add_names(std::string_view list, std::vector<std::string>& names) {
  while (!list.empty()) {
    const std::string_view name = list.substr(0, list.find(','));
    list.remove_prefix(std::min(name.size() + 1, list.size()));
    if (!name.empty()) names.emplace_back(name);
  }
}

/// Each of these may be there once; OpenSSH does not guess which of two is meant.
template <class T>
Result<void> set_once(std::optional<T>& option, T value, std::string_view name) {
  if (option) return fail(Errc::malformed, fmt::format("more than one {}", name));
  option = std::move(value);
  return {};
}

Result<void> add_permit(std::vector<Permit>& permits, std::string_view value, std::string_view name) {
  if (permits.size() == kMaxPermits)
    return fail(Errc::limit, fmt::format("more than {} times {}", kMaxPermits, name));
  permits.push_back(TRY(parse_permit(value, name)));
  return {};
}

bool is_variable(std::string_view text) {
  const std::string_view name = text.substr(0, text.find('='));
  return !name.empty() && name.size() < text.size() &&
         std::ranges::all_of(
             name,
             [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
             });
}

bool is_tunnel(std::string_view text) { return text == "any" || number_of(text); }

Result<void> apply_value(KeyOptions& options, std::string_view name, std::string value,
                         const LocalToUtc& local_to_utc) {
  if (name == "permitopen") return add_permit(options.permit_open, value, name);
  if (name == "permitlisten") return add_permit(options.permit_listen, value, name);
  if (name == "command") return set_once(options.command, std::move(value), name);
  if (name == "from") {
    TRY(check_source_list(value));
    return set_once(options.from, std::move(value), name);
  }
  if (name == "principals") {
    std::vector<std::string> names;
    add_names(value, names);
    return set_once(options.principals, std::move(names), name);
  }
  if (name == "expiry-time") {
    const UnixSeconds time = TRY(parse_time(value, local_to_utc));
    options.expiry = std::min(options.expiry.value_or(time), time);
  }
  // Those that we ignore must make sense too: OpenSSH refuses the line otherwise.
  if ((name == "environment" && !is_variable(value)) || (name == "tunnel" && !is_tunnel(value)))
    return fail(Errc::malformed, fmt::format("value of {} is malformed", name));
  return {};
}

bool apply_flag(KeyOptions& options, std::string_view name) {
  if (name == "restrict") {
    options.port_forwarding = false;
  } else if (name == "cert-authority") {
    options.is_authority = true;
  } else {
    const bool negated = name.starts_with("no-");
    if (negated) name.remove_prefix(3);
    if (name == "port-forwarding") {
      options.port_forwarding = !negated;
    } else {
      return std::ranges::find(kIgnoredFlags, name) != kIgnoredFlags.end();
    }
  }
  return true;
}

/// The text of a critical option: one string, and nothing behind it.
Result<std::string> text_of(ByteView content, std::string_view name) {
  Reader reader(content);
  const auto text = reader.text();
  if (!text || !reader.end())
    return fail(Errc::denied, fmt::format("certificate's option {} is malformed", name));
  return std::string(*text);
}

}  // namespace

Result<KeyOptions> parse_key_options(std::string_view text, const LocalToUtc& local_to_utc) {
  KeyOptions options;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find_first_of(",=\""));
    const std::string name = lower(word);
    text.remove_prefix(word.size());
    if (text.starts_with('=')) {
      if (std::ranges::find(kValues, name) == kValues.end()) return unknown(word);
      text.remove_prefix(1);
      TRY(apply_value(options, name, TRY(take_quoted(text, name)), local_to_utc));
    } else if (!word.empty() && !apply_flag(options, name)) {  // OpenSSH passes over an empty one
      return unknown(word);
    }
    if (!text.empty() && text[0] != ',') return unknown(text);
    text.remove_prefix(std::min<std::size_t>(1, text.size()));
  }
  // Whoever wrote that meant other users than the one that the key would let in.
  if (options.principals && !options.is_authority)
    return fail(Errc::malformed, "principals stands before a key that is no cert-authority");
  return options;
}

Result<void> check_use(const KeyOptions& options, const IpAddress& source, UnixSeconds now) {
  if (options.expiry && *options.expiry < now) return fail(Errc::denied, "key has expired");
  for (const auto* list : {&options.from, &options.source_address}) {
    if (!*list) continue;
    const auto matches = matches_source(source, **list);
    if (!matches || !*matches) {
      return fail(Errc::denied, fmt::format("key may not be used from {}, only from {}", source.text(),
                                            printable(**list, 200)));
    }
  }
  return {};
}

Result<KeyOptions> merged(const KeyOptions& options, const crypto::Certificate& certificate) {
  KeyOptions both = options;
  std::vector<std::string> seen;
  for (const std::string& name : certificate.critical_options()) {
    if (std::ranges::find(seen, name) != seen.end())
      return fail(Errc::denied, fmt::format("certificate has more than one option {}", printable(name, 64)));
    seen.push_back(name);
    const ByteView content = certificate.critical_option(name).value();
    if (name == "source-address") {
      both.source_address = TRY(text_of(content, name));
      if (!check_network_list(*both.source_address))
        return fail(Errc::denied, "certificate's option source-address is malformed");
    } else if (name == "force-command") {
      std::string command = TRY(text_of(content, name));
      if (options.command && *options.command != command)
        return fail(Errc::denied, "certificate's command is another than that of its authority's line");
      both.command = std::move(command);
    } else if (name == "verify-required") {
      if (!content.empty()) return fail(Errc::denied, "certificate's option verify-required is malformed");
    } else {
      return fail(Errc::denied,
                  fmt::format("certificate's critical option \"{}\" is not known", printable(name, 64)));
    }
  }
  const auto permission = certificate.extension("permit-port-forwarding");
  if (!permission || !permission->empty()) both.port_forwarding = false;
  const std::uint64_t end = certificate.valid_before();
  constexpr auto kLast = static_cast<std::uint64_t>(std::numeric_limits<UnixSeconds>::max());
  if (end <= kLast) {
    const UnixSeconds last = static_cast<UnixSeconds>(end) - 1;
    both.expiry = std::min(both.expiry.value_or(last), last);
  }
  return both;
}

}  // namespace culvert::files

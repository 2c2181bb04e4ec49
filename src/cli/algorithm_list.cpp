// SPDX-License-Identifier: Apache-2.0
#include "cli/algorithm_list.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.hpp"
#include "cli/values.hpp"
#include "files/host_pattern.hpp"

namespace culvert::cli {
namespace {

// What OpenSSH 7 to 10 know besides ours. Leaving them out of a list never weakens it.
constexpr std::array<std::string_view, 20> kOnlyInOpenSsh = {
    "3des-cbc",
    "aes*-cbc",
    "rijndael-cbc@lysator.liu.se",
    "arcfour*",
    "blowfish-cbc",
    "cast128-cbc",
    "hmac-sha1*",
    "hmac-md5*",
    "hmac-ripemd160*",
    "umac-*@openssh.com",
    "diffie-hellman-group*",
    "gss-*",
    "sntrup761x25519-sha512*",
    "mlkem768nistp256-sha256",
    "ssh-rsa",
    "ssh-dss",
    "*-cert-v0?@openssh.com",
    "sk-*@openssh.com",
    "webauthn-sk-*@openssh.com",
    "ssh-mldsa44-ed25519@openssh.com",
};

bool matches_pattern(std::string_view text, std::string_view pattern) {
  return files::matches_pattern(text, pattern, files::LetterCase::exact);
}

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::ranges::find(list, name) != list.end();
}

void append_once(std::vector<std::string>& list, std::string_view name) {
  if (!contains(list, name)) list.emplace_back(name);
}

// The names of ours that the comma-separated patterns mean, in the order of the patterns.
Result<std::vector<std::string>> chosen_from(std::string_view patterns,
                                             std::span<const std::string_view> ours, std::string_view what) {
  std::vector<std::string> chosen;
  for (const std::string_view pattern : split(patterns, ',')) {
    const bool is_pattern = pattern.find_first_of("*?") != std::string_view::npos;
    bool found = is_pattern;
    for (const std::string_view name : ours) {
      if (!matches_pattern(name, pattern)) continue;
      append_once(chosen, name);
      found = true;
    }
    found = found || std::ranges::any_of(kOnlyInOpenSsh, [&](std::string_view known) {
              return matches_pattern(pattern, known);
            });
    if (!found) {
      return fail(Errc::usage,
                  fmt::format("unknown {0} {1} (culvert -Q {0} lists them)", what, in_quotes(pattern)));
    }
  }
  return chosen;
}

}  // namespace

Result<std::vector<std::string>> read_algorithm_list(std::string_view text,
                                                     std::span<const std::string_view> ours,
                                                     std::string_view what) {
  const char prefix = text.empty() ? '\0' : text[0];
  const bool has_prefix = prefix == '+' || prefix == '-' || prefix == '^';
  std::vector<std::string> result;
  if (prefix == '-') {
    const auto patterns = split(text.substr(1), ',');
    for (const std::string_view name : ours) {
      const bool removed =
          std::ranges::any_of(patterns, [&](auto pattern) { return matches_pattern(name, pattern); });
      if (!removed) append_once(result, name);
    }
  } else {
    const std::vector<std::string> chosen = TRY(chosen_from(text.substr(has_prefix ? 1 : 0), ours, what));
    if (prefix == '+') std::ranges::for_each(ours, [&](auto name) { append_once(result, name); });
    std::ranges::for_each(chosen, [&](const auto& name) { append_once(result, name); });
    if (prefix == '^') std::ranges::for_each(ours, [&](auto name) { append_once(result, name); });
  }
  if (result.empty()) {
    return fail(
        Errc::unsupported,
        fmt::format("{1} leaves no {0} that culvert has (culvert -Q {0} lists them)", what, in_quotes(text)));
  }
  return result;
}

std::string left_out_of_list(std::string_view text, const std::vector<std::string>& ours) {
  if (text.starts_with('-')) return {};
  if (text.starts_with('+') || text.starts_with('^')) text.remove_prefix(1);
  std::vector<std::string> names;
  for (const std::string_view name : split(text, ',')) {
    if (name.find_first_of("*?") == std::string_view::npos && !contains(ours, name))
      append_once(names, printable(name));
  }
  return fmt::format("{}", fmt::join(names, ","));
}

}  // namespace culvert::cli

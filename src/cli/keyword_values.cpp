// SPDX-License-Identifier: Apache-2.0
#include "cli/keyword_values.hpp"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>

#include "cli/algorithm_list.hpp"
#include "cli/endpoint_spec.hpp"
#include "crypto/algorithms.hpp"
#include "crypto/key_algorithms.hpp"

namespace culvert::cli {
namespace {

// Words and what they mean. Of several words for one meaning the first is the one that is written.
template <class T, std::size_t N>
struct Choices {
  std::array<std::pair<std::string_view, T>, N> rows;

  [[nodiscard]] Result<T> read(const std::string& word) const {
    std::string known;
    for (const auto& [name, value] : rows) {
      if (equal_ignoring_case(name, word)) return value;
      known += (known.empty() ? "" : ", ") + std::string(name);
    }
    return fail(Errc::usage, fmt::format("{} is none of {}", in_quotes(word), known));
  }

  [[nodiscard]] std::string write(T wanted) const {
    const auto row = std::ranges::find(rows, wanted, [](const auto& entry) { return entry.second; });
    return std::string(row == rows.end() ? std::string_view() : row->first);
  }
};

constexpr Choices<tunnel::AddressFamily, 3> kFamilies{{{
    {"any", tunnel::AddressFamily::any},
    {"inet", tunnel::AddressFamily::ipv4},
    {"inet6", tunnel::AddressFamily::ipv6},
}}};

constexpr Choices<tunnel::HostKeyPolicy, 7> kHostKeyPolicies{{{
    {"true", tunnel::HostKeyPolicy::yes},
    {"yes", tunnel::HostKeyPolicy::yes},
    {"ask", tunnel::HostKeyPolicy::ask},
    {"accept-new", tunnel::HostKeyPolicy::accept_new},
    {"false", tunnel::HostKeyPolicy::no},
    {"no", tunnel::HostKeyPolicy::no},
    {"off", tunnel::HostKeyPolicy::no},
}}};

constexpr Choices<Verbosity, 10> kVerbosities{{{
    {"SILENT", Verbosity::quiet},
    {"QUIET", Verbosity::quiet},
    {"FATAL", Verbosity::fatal},
    {"ERROR", Verbosity::error},
    {"INFO", Verbosity::info},
    {"VERBOSE", Verbosity::verbose},
    {"DEBUG", Verbosity::debug1},
    {"DEBUG1", Verbosity::debug1},
    {"DEBUG2", Verbosity::debug2},
    {"DEBUG3", Verbosity::debug3},
}}};

constexpr Choices<Canonicalize, 5> kCanonicalize{{{
    {"true", Canonicalize::direct},
    {"yes", Canonicalize::direct},
    {"false", Canonicalize::no},
    {"no", Canonicalize::no},
    {"always", Canonicalize::always},
}}};

template <class Row>
std::vector<std::string_view> names_of(std::span<const Row> rows) {
  std::vector<std::string_view> names;
  for (const Row& row : rows) names.push_back(row.name);
  return names;
}

std::string joined(const Names& names, char separator) {
  std::string text;
  for (const std::string& name : names) {
    if (!text.empty()) text += separator;
    text += name;
  }
  return text;
}

}  // namespace

Result<std::string> as_text(const std::string& word) { return word; }
Result<bool> as_flag(const std::string& word) { return parse_flag(word); }
Result<std::uint16_t> as_port(const std::string& word) { return parse_port(word); }

Result<std::string> as_host(const std::string& word) {
  TRY(check_host_name(word));
  return word;
}

Result<std::string> as_user(const std::string& word) {
  TRY(check_user_name(word));
  return word;
}

Result<Duration> as_time(const std::string& word) {
  if (equal_ignoring_case(word, "none")) return Duration::zero();
  return parse_time(word);
}

Result<unsigned> as_mask(const std::string& word) { return parse_permissions(word); }

Result<std::string> as_jumps(const std::string& word) {
  if (!equal_ignoring_case(word, "none")) TRY(parse_jumps(word));
  return word;
}

Result<std::string> as_proxy_via(const std::string& word) {
  if (!equal_ignoring_case(word, "none")) TRY(parse_proxy_via(word));
  return word;
}

Result<tunnel::AddressFamily> as_family(const std::string& word) { return kFamilies.read(word); }
Result<tunnel::HostKeyPolicy> as_host_key_policy(const std::string& word) {
  return kHostKeyPolicies.read(word);
}
Result<Verbosity> as_verbosity(const std::string& word) { return kVerbosities.read(word); }
Result<Canonicalize> as_canonicalize(const std::string& word) { return kCanonicalize.read(word); }

Result<Names> as_ciphers(const std::string& word) {
  return read_algorithm_list(word, names_of(crypto::ciphers()), "cipher");
}
Result<Names> as_macs(const std::string& word) {
  return read_algorithm_list(word, names_of(crypto::macs()), "mac");
}
Result<Names> as_key_exchanges(const std::string& word) {
  return read_algorithm_list(word, names_of(crypto::key_exchanges()), "kex");
}
Result<Names> as_host_keys(const std::string& word) {
  return read_algorithm_list(word, crypto::host_key_algorithms(), "HostKeyAlgorithms");
}
Result<Names> as_user_keys(const std::string& word) {
  return read_algorithm_list(word, crypto::user_key_algorithms(), "PubkeyAcceptedAlgorithms");
}
Result<Names> as_authority_signatures(const std::string& word) {
  return read_algorithm_list(word, crypto::authority_algorithms(), "sig");
}

Result<Names> as_methods(const std::string& word) {
  Names methods;
  for (const std::string_view name : split(word, ',')) {
    if (name == "publickey" || name == "keyboard-interactive" || name == "password")
      methods.emplace_back(name);
  }
  if (methods.empty()) {
    return fail(Errc::unsupported,
                fmt::format("{} names none of publickey, keyboard-interactive, password", in_quotes(word)));
  }
  return methods;
}

std::string text_of(const std::string& text) { return text; }
std::string text_of(bool flag) { return flag ? "yes" : "no"; }
std::string text_of(std::uint16_t port) { return std::to_string(port); }
std::string text_of(std::uint32_t count) { return std::to_string(count); }
std::string text_of(Duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count());
}
std::string text_of(tunnel::AddressFamily family) { return kFamilies.write(family); }
std::string text_of(tunnel::HostKeyPolicy policy) { return kHostKeyPolicies.write(policy); }
std::string text_of(Verbosity verbosity) { return kVerbosities.write(verbosity); }
std::string text_of(Canonicalize when) { return kCanonicalize.write(when); }

std::string text_of(const relay::Endpoint& endpoint) {
  if (const auto* socket = std::get_if<relay::UnixPath>(&endpoint)) return socket->path;
  const auto& place = std::get<relay::HostPort>(endpoint);
  return fmt::format("[{}]:{}", place.host, place.port);
}

std::string text_of_listener(const relay::Endpoint& endpoint) {
  const auto* place = std::get_if<relay::HostPort>(&endpoint);
  return place != nullptr && place->host.empty() ? std::to_string(place->port) : text_of(endpoint);
}

std::string text_of_mask(unsigned mask) { return fmt::format("0{:o}", mask); }
std::string text_of_list(const Names& names) { return joined(names, ','); }
std::string text_of_words(const Names& words) { return joined(words, ' '); }

std::string text_of_jumps(const std::string& text) {
  const auto hops = parse_jumps(text);
  if (!hops || equal_ignoring_case(text, "none")) return text;
  Names words;
  for (const Destination& hop : *hops) {
    const bool is_ipv6 = hop.host.contains(':');
    words.push_back(fmt::format("{}{}{}{}{}", hop.user ? *hop.user + '@' : "", is_ipv6 ? "[" : "", hop.host,
                                is_ipv6 ? "]" : "", hop.port ? fmt::format(":{}", *hop.port) : ""));
  }
  return text_of_list(words);
}

std::string text_of_proxy_via(const std::string& text) {
  const auto at = text.rfind('@');
  const auto start = text.find("://");
  if (at == std::string::npos || start == std::string::npos) return text;
  const auto colon = text.find(':', start + 3);
  return colon < at ? text.substr(0, colon) + ":..." + text.substr(at) : text;
}

}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
// Values of keywords, both ways: `as_...` reads one word, and `text_of...` writes what was read in the words
// of `ssh -G`. keyword_table.cpp joins them with the fields of Settings.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "cli/settings.hpp"
#include "cli/values.hpp"

namespace culvert::cli {

using Names = std::vector<std::string>;

[[nodiscard]] Result<std::string> as_text(const std::string& word);
[[nodiscard]] Result<bool> as_flag(const std::string& word);
[[nodiscard]] Result<std::uint16_t> as_port(const std::string& word);
[[nodiscard]] Result<std::string> as_host(const std::string& word);
[[nodiscard]] Result<std::string> as_user(const std::string& word);
[[nodiscard]] Result<Duration> as_time(const std::string& word);  ///< "none": zero
[[nodiscard]] Result<unsigned> as_mask(const std::string& word);  ///< octal, to 0777
[[nodiscard]] Result<std::string> as_jumps(const std::string& word);
[[nodiscard]] Result<std::string> as_proxy_via(const std::string& word);

template <std::uint32_t Min, std::uint32_t Max = std::numeric_limits<std::int32_t>::max()>
Result<std::uint32_t> as_count(const std::string& word) {
  return static_cast<std::uint32_t>(TRY(parse_number(word, Min, Max)));
}

[[nodiscard]] Result<tunnel::AddressFamily> as_family(const std::string& word);
[[nodiscard]] Result<tunnel::HostKeyPolicy> as_host_key_policy(const std::string& word);
[[nodiscard]] Result<Verbosity> as_verbosity(const std::string& word);
[[nodiscard]] Result<Canonicalize> as_canonicalize(const std::string& word);

// Lists of algorithms, as read_algorithm_list() has them.
[[nodiscard]] Result<Names> as_ciphers(const std::string& word);
[[nodiscard]] Result<Names> as_macs(const std::string& word);
[[nodiscard]] Result<Names> as_key_exchanges(const std::string& word);
[[nodiscard]] Result<Names> as_host_keys(const std::string& word);
[[nodiscard]] Result<Names> as_user_keys(const std::string& word);
[[nodiscard]] Result<Names> as_authority_signatures(const std::string& word);
/// Ways to log in; those that culvert has not are passed over.
[[nodiscard]] Result<Names> as_methods(const std::string& word);

[[nodiscard]] std::string text_of(const std::string& text);
[[nodiscard]] std::string text_of(bool flag);
[[nodiscard]] std::string text_of(std::uint16_t port);
[[nodiscard]] std::string text_of(std::uint32_t count);
[[nodiscard]] std::string text_of(Duration time);  ///< seconds
[[nodiscard]] std::string text_of(tunnel::AddressFamily family);
[[nodiscard]] std::string text_of(tunnel::HostKeyPolicy policy);
[[nodiscard]] std::string text_of(Verbosity verbosity);
[[nodiscard]] std::string text_of(Canonicalize when);
[[nodiscard]] std::string text_of(const relay::Endpoint& listener_or_destination);

[[nodiscard]] std::string text_of_mask(unsigned mask);
[[nodiscard]] std::string text_of_list(const Names& names);                   ///< separated by commas
[[nodiscard]] std::string text_of_words(const Names& words);                  ///< separated by spaces
[[nodiscard]] std::string text_of_listener(const relay::Endpoint& endpoint);  ///< "8080", "[bind]:8080", path
[[nodiscard]] std::string text_of_jumps(const std::string& text);      ///< each hop as [user@]host[:port]
[[nodiscard]] std::string text_of_proxy_via(const std::string& text);  ///< without the password

}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
#include "cli/canonical_host.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/values.hpp"
#include "files/host_pattern.hpp"

namespace culvert::cli {
namespace {

bool is_given(const std::optional<std::string>& value) {
  return value && !equal_ignoring_case(*value, "none");
}

// Nobody else resolves the name.
bool is_direct(const Settings& settings) {
  return !is_given(settings.proxy_command) && !is_given(settings.proxy_jump) && !is_given(settings.proxy_via);
}

// "source-domains:target-domains", of which one has both names.
bool is_permitted(const Settings& settings, const std::string& from, const std::string& to) {
  return settings.permitted_cnames && std::ranges::any_of(*settings.permitted_cnames, [&](const auto& rule) {
           const auto colon = rule.find(':');
           return files::matches_pattern_list(from, std::string_view(rule).substr(0, colon)) &&
                  files::matches_pattern_list(to, std::string_view(rule).substr(colon + 1));
         });
}

std::string followed(const Settings& settings, std::string name, std::string target) {
  return target != name && is_permitted(settings, name, target) ? target : name;
}

}  // namespace

Result<std::string> canonical_host(std::string host, const Settings& settings, Machine& machine) {
  if (auto address = machine.canonical_address(host)) return std::move(*address);
  host = lower(host);
  const Canonicalize wanted = settings.canonicalize.value_or(Canonicalize::no);
  const bool may_ask = is_direct(settings) || wanted == Canonicalize::always;
  if (!may_ask) return host;
  if (wanted == Canonicalize::no) {
    if (!settings.permitted_cnames || settings.permitted_cnames->empty()) return host;
    auto target = machine.canonical_name(host);
    return target ? followed(settings, std::move(host), std::move(*target)) : host;
  }

  const bool is_complete = host.ends_with('.');
  if (is_complete) host.pop_back();
  const auto dots = static_cast<std::uint32_t>(std::ranges::count(host, '.'));
  if (!is_complete && dots > settings.canonical_max_dots.value_or(1)) return host;
  std::vector<std::string> names;
  if (is_complete) {
    names.push_back(host);
  } else if (settings.canonical_domains) {
    for (const std::string& domain : *settings.canonical_domains) names.push_back(host + '.' + lower(domain));
  }
  for (std::string& name : names) {
    // The dot at the end keeps the resolver from adding domains of its own.
    if (auto target = machine.canonical_name(name + '.'))
      return followed(settings, std::move(name), std::move(*target));
  }
  if (settings.canonical_fallback_local.value_or(true)) return is_complete ? host + '.' : host;
  return fail(Errc::not_found,
              fmt::format("no domain of CanonicalDomains has a host {} (CanonicalizeFallbackLocal=yes leaves "
                          "the name to the resolver)",
                          in_quotes(host)));
}

}  // namespace culvert::cli

// SPDX-License-Identifier: Apache-2.0
#include "files/source_list.hpp"

#include <optional>
#include <string>

#include <fmt/format.h>

#include "base/text.hpp"
#include "files/host_pattern.hpp"

namespace culvert::files {
namespace {

/// The peer of an IPv6 socket may be an IPv4 one. Other addresses that stand for an IPv4 address are taken
/// as they are: whoever has one is not at that IPv4 address.
bool is_mapped(const IpNetwork& network) {
  static const IpNetwork mapped = *IpNetwork::parse("::ffff:0:0/96");
  return mapped.contains(network);
}

IpNetwork unmapped(const IpNetwork& network) { return is_mapped(network) ? network.normalised() : network; }

/// What must be an address or a network, or "!10.1" would quietly exclude nothing.
bool is_numeric(std::string_view entry) {
  if (entry.find_first_of(":/") != entry.npos) return true;
  const std::string_view last = entry.substr(entry.rfind('.') + 1);
  return last.starts_with("0x") || (!last.empty() && last.find_first_not_of("0123456789") == last.npos);
}

struct Entry {
  bool negated;
  std::string_view text;
  std::optional<IpNetwork> network;  ///< none: a pattern
};

Result<Entry> take_entry(std::string_view& list) {
  const std::string_view text = list.substr(0, list.find(','));
  list.remove_prefix(text.size());
  if (!list.empty() && list != ",") list.remove_prefix(1);  // a comma at the end stays: one more entry, empty
  Entry entry{text.starts_with('!'), text, {}};
  if (entry.negated) entry.text.remove_prefix(1);
  if (entry.text.empty()) return fail(Errc::malformed, "list of source addresses has an empty entry");
  if (entry.text.find_first_of("*?") != entry.text.npos) return entry;
  if (is_numeric(entry.text)) entry.network = unmapped(TRY(IpNetwork::parse(entry.text)));
  return entry;
}

}  // namespace

Result<void> check_source_list(std::string_view list) {
  TRY(matches_source(IpAddress(), list));
  return {};
}

Result<void> check_network_list(std::string_view list) {
  do {
    const Entry entry = TRY(take_entry(list));
    if (entry.negated || !entry.network) {
      return fail(Errc::malformed,
                  fmt::format("\"{}\" is no network like 192.0.2.0/24", printable(entry.text, 100)));
    }
  } while (!list.empty());
  return {};
}

Result<bool> matches_source(const IpAddress& source, std::string_view list) {
  const IpAddress peer = unmapped(IpNetwork(source)).first();
  const std::string text = peer.text();
  bool matches = false, excluded = false;
  do {
    const Entry entry = TRY(take_entry(list));
    if (entry.network ? entry.network->contains(peer) : matches_pattern(text, entry.text))
      (entry.negated ? excluded : matches) = true;
  } while (!list.empty());
  return matches && !excluded;
}

}  // namespace culvert::files

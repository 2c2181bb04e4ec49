// SPDX-License-Identifier: Apache-2.0
#include "files/known_hosts.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "crypto/base64.hpp"
#include "crypto/certificate.hpp"
#include "crypto/key_algorithms.hpp"
#include "crypto/key_line.hpp"
#include "files/hashed_host.hpp"
#include "files/host_pattern.hpp"

namespace culvert::files {
namespace {

constexpr std::size_t kMaxBadLines = 100;
constexpr std::uint16_t kDefaultPort = 22;

/// Types that OpenSSH knows: a host that has such a key is not an unknown one, whether we can use the key or
/// not.
constexpr std::array<std::string_view, 2> kUnusableTypes = {"ssh-rsa", "ssh-dss"};

struct ReadKey {
  Bytes blob;
  bool usable;  ///< a key that we support
};

/// The key on a line. Errc::unsupported: of a type that counts as no key at all.
Result<ReadKey> read_key(bool is_marked, std::string_view type, std::string_view text) {
  Bytes blob = TRY(crypto::key_blob(type, text));
  if (!crypto::certified_key_type(type).empty()) {
    // With a marker the key in it is meant. Without, it is a key of the host that no plain one is equal to.
    Bytes certified = TRY(crypto::certified_key_blob(blob));
    return ReadKey{is_marked ? std::move(certified) : std::move(blob), false};
  }
  const auto key = crypto::PublicKey::parse(blob);
  if (key) return ReadKey{std::move(blob), !key->is_security_key()};
  if (key.error().code != Errc::unsupported) return std::unexpected(key.error());
  if (std::ranges::find(kUnusableTypes, type) == kUnusableTypes.end()) return std::unexpected(key.error());
  return ReadKey{std::move(blob), false};
}

bool is_safe_name(std::string_view host) {
  return !host.empty() && std::ranges::none_of(host, [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == 0x7f ||
           std::string_view(",*?!|#@[]").find(c) != std::string_view::npos;
  });
}

}  // namespace

struct KnownHosts::Found {
  struct Entry {
    const Line* line;
    ReadKey key;
  };
  std::vector<Entry> entries;
  std::vector<BadLine> bad_lines;

  [[nodiscard]] const Entry* holding(Marker marker, ByteView blob) const {
    for (const Entry& entry : entries) {
      if (entry.line->marker == marker && std::ranges::equal(entry.key.blob, blob)) return &entry;
    }
    return nullptr;
  }
  /// An entry with this mark, one of this type rather than another.
  [[nodiscard]] const Entry* any(std::string_view type, Marker marker = Marker::none) const {
    const Entry* found = nullptr;
    for (const Entry& entry : entries) {
      if (entry.line->marker != marker) continue;
      if (found == nullptr || entry.line->key_type == type) found = &entry;
    }
    return found;
  }
};

Result<void> KnownHosts::add(std::string file_name, std::string text) {
  if (text.size() > kMaxKnownHostsSize) {
    return fail(Errc::limit, fmt::format("{}: larger than {} MiB", file_name, kMaxKnownHostsSize >> 20));
  }
  const auto file = static_cast<std::uint32_t>(file_names_.size());
  file_names_.push_back(std::move(file_name));
  texts_.push_back(std::make_shared<const std::string>(std::move(text)));
  std::string_view rest = *texts_.back();
  for (std::uint32_t number = 1; !rest.empty(); ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    add_line(file, number, line);
  }
  return {};
}

void KnownHosts::add_line(std::uint32_t file, std::uint32_t number, std::string_view text) {
  text = text.substr(0, text.find('\0'));  // where a line ends for OpenSSH: nothing @revoked may get lost
  std::string_view hosts = next_word(text);
  if (hosts.empty() || hosts.starts_with('#')) return;
  Marker marker = Marker::none;
  if (hosts.starts_with('@')) {
    if (hosts != "@revoked" && hosts != "@cert-authority") return report(file, number, "unknown marker");
    marker = hosts == "@revoked" ? Marker::revoked : Marker::authority;
    hosts = next_word(text);
    if (hosts.starts_with('@')) return report(file, number, "more than one marker");
  }
  const std::string_view type = next_word(text);
  const std::string_view key = next_word(text);
  if (key.empty() || type.starts_with('#') || key.starts_with('#'))
    return report(file, number, "key is missing");
  if (hosts.starts_with('|') && !HashedHost::parse(hosts))
    return report(file, number, "hashed host name is malformed");
  lines_.push_back({file, number, marker, hosts, type, key});
}

void KnownHosts::report(std::uint32_t file, std::uint32_t number, std::string reason) {
  if (bad_lines_.size() < kMaxBadLines)
    bad_lines_.push_back({{file_names_[file], number}, std::move(reason)});
}

FileLine KnownHosts::place_of(const Line& line) const { return {file_names_[line.file], line.number}; }

KnownHosts::Found KnownHosts::find(std::string_view name) const {
  Found found;
  for (const Line& line : lines_) {
    if (line.hosts.starts_with('|')) {
      const auto hashed = HashedHost::parse(line.hosts);
      if (!hashed || !hashed->matches(name)) continue;
    } else if (!matches_pattern_list(name, line.hosts)) {
      continue;
    }
    auto key = read_key(line.marker != Marker::none, line.key_type, line.key_text);
    if (key) {
      found.entries.push_back({&line, *std::move(key)});
    } else if (key.error().code != Errc::unsupported && found.bad_lines.size() < kMaxBadLines) {
      found.bad_lines.push_back({place_of(line), std::move(key).error().message});
    }
  }
  return found;
}

HostKeyVerdict KnownHosts::lookup(std::string_view host, std::uint16_t port,
                                  const crypto::PublicKey& key) const {
  using enum HostKeyVerdict::Status;
  const auto verdict = [this](HostKeyVerdict::Status status, const Found::Entry& entry) {
    return HostKeyVerdict{status, place_of(*entry.line), std::string(entry.line->key_type)};
  };
  const Found exact = find(known_hosts_name(host, port));
  // A revocation of the bare host's key counts for all of its ports.
  const Found bare = port == kDefaultPort ? Found{} : find(known_hosts_name(host, kDefaultPort));
  for (const Found* found : {&exact, &bare}) {
    if (const auto* entry = found->holding(Marker::revoked, key.blob())) return verdict(revoked, *entry);
  }
  if (const auto* entry = exact.holding(Marker::none, key.blob())) return verdict(known, *entry);
  if (const auto* entry = exact.any(key.type())) return verdict(changed, *entry);
  if (const auto* entry = bare.holding(Marker::none, key.blob())) return verdict(known, *entry);
  return {};
}

HostKeyVerdict KnownHosts::lookup(std::string_view host, std::uint16_t port,
                                  const crypto::Certificate& certificate) const {
  using enum HostKeyVerdict::Status;
  const auto verdict = [this](HostKeyVerdict::Status status, const Found::Entry& entry) {
    return HostKeyVerdict{status, place_of(*entry.line), std::string(entry.line->key_type)};
  };
  const Found exact = find(known_hosts_name(host, port));
  const Found bare = port == kDefaultPort ? Found{} : find(known_hosts_name(host, kDefaultPort));
  const ByteView authority = certificate.authority().blob();
  for (const Found* found : {&exact, &bare}) {
    for (const ByteView blob : {authority, certificate.key().blob()}) {
      if (const auto* entry = found->holding(Marker::revoked, blob)) return verdict(revoked, *entry);
    }
  }
  for (const Found* found : {&exact, &bare}) {
    if (const auto* entry = found->holding(Marker::authority, authority)) return verdict(known, *entry);
    if (const auto* entry = found->any(certificate.authority().type(), Marker::authority))
      return verdict(changed, *entry);
  }
  return {};
}

std::vector<std::string> KnownHosts::key_types(std::string_view host, std::uint16_t port) const {
  std::vector<std::string> types;
  const auto collect = [&types](const Found& found) {
    for (const Found::Entry& entry : found.entries) {
      if (entry.line->marker != Marker::none || !entry.key.usable) continue;
      if (std::ranges::find(types, entry.line->key_type) == types.end())
        types.emplace_back(entry.line->key_type);
    }
  };
  const Found exact = find(known_hosts_name(host, port));
  collect(exact);
  if (port != kDefaultPort && exact.any({}) == nullptr) collect(find(known_hosts_name(host, kDefaultPort)));
  return types;
}

bool KnownHosts::has_authority(std::string_view host, std::uint16_t port) const {
  const auto is_in = [](const Found& found) { return found.any({}, Marker::authority) != nullptr; };
  return is_in(find(known_hosts_name(host, port))) ||
         (port != kDefaultPort && is_in(find(known_hosts_name(host, kDefaultPort))));
}

std::vector<KnownHosts::BadLine> KnownHosts::bad_lines_of(std::string_view host, std::uint16_t port) const {
  return find(known_hosts_name(host, port)).bad_lines;
}

std::string known_hosts_name(std::string_view host, std::uint16_t port) {
  const std::string name = lower(host);
  return port == kDefaultPort ? name : fmt::format("[{}]:{}", name, port);
}

Result<std::string> format_known_hosts(std::span<const HostName> names, const crypto::PublicKey& key,
                                       bool hashed, crypto::Random& random) {
  CULVERT_ASSERT(!names.empty());
  std::vector<std::string> written;
  for (const auto& [host, port] : names) {
    if (!is_safe_name(host)) return fail(Errc::usage, "host name cannot be written to known_hosts");
    std::string name = known_hosts_name(host, port);
    if (hashed) {
      Bytes salt(kHostSaltSize);
      random.fill(salt);
      name = HashedHost::of(name, std::move(salt)).text();
    }
    written.push_back(std::move(name));
  }
  const auto rest = fmt::format(" {} {}\n", key.type(), crypto::base64_encode(key.blob()));
  return fmt::format("{}{}", fmt::join(written, hashed ? rest : ","), rest);
}

}  // namespace culvert::files

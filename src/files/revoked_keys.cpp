// SPDX-License-Identifier: Apache-2.0
#include "files/revoked_keys.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "crypto/key_algorithms.hpp"
#include "crypto/key_line.hpp"

namespace culvert::files {
namespace {

constexpr std::string_view kBlank = " \t\r";

/// Types that ssh may list and nobody can show us: RSA keys that are too short, and what we do not support.
constexpr std::array<std::string_view, 5> kNeverOurs = {"ssh-rsa", "ssh-dss", "ssh-dss-cert-v01@openssh.com",
                                                        "ssh-xmss@openssh.com",
                                                        "ssh-xmss-cert-v01@openssh.com"};

/// The blob of the plain key on a line.
Result<Bytes> read_line(std::string_view line) {
  auto [type, blob] = TRY(crypto::split_key_line(line));
  // Its key is what is revoked, whoever signed it, and whether that counts.
  if (!crypto::certified_key_type(type).empty()) return crypto::certified_key_blob(blob);
  auto key = crypto::PublicKey::parse(blob);
  const bool is_unsupported = !key && key.error().code == Errc::unsupported;
  if (!key && !(is_unsupported && std::ranges::find(kNeverOurs, type) != kNeverOurs.end()))
    return std::unexpected(std::move(key).error());
  return std::move(blob);
}

}  // namespace

Result<RevokedKeys> RevokedKeys::parse(std::string content) {
  if (KeyRevocationList::is_one(content))
    return RevokedKeys(TRY(KeyRevocationList::parse(std::move(content))));
  Blobs blobs;
  std::string_view rest = content;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const std::size_t start = line.find_first_not_of(kBlank);
    if (start == line.npos || line[start] == '#') continue;
    auto blob = read_line(line);
    if (!blob) return fail(blob.error().code, fmt::format("line {}: {}", number, blob.error().message));
    blobs.push_back(*std::move(blob));
  }
  return RevokedKeys(std::move(blobs));
}

bool RevokedKeys::revokes(const crypto::PublicKey& key) const {
  if (const auto* list = std::get_if<KeyRevocationList>(&list_)) return list->revokes(key);
  return std::ranges::any_of(std::get<Blobs>(list_),
                             [&](const Bytes& blob) { return std::ranges::equal(blob, key.blob()); });
}

bool RevokedKeys::revokes(const crypto::Certificate& certificate) const {
  if (const auto* list = std::get_if<KeyRevocationList>(&list_)) return list->revokes(certificate);
  return revokes(certificate.key()) || revokes(certificate.authority());
}

Result<RevokedKeys> read_revoked_keys(const std::string& path, OwnerCheck check, const FileOpener& open) {
  auto keys = RevokedKeys::parse(TRY(read_config_file(path, check, open, kMaxRevokedKeysSize)));
  if (!keys) return fail(keys.error().code, fmt::format("{}: {}", printable(path), keys.error().message));
  return keys;
}

}  // namespace culvert::files

// SPDX-License-Identifier: Apache-2.0
#include "files/hashed_host.hpp"

#include <utility>

#include "crypto/base64.hpp"
#include "crypto/hash.hpp"

namespace culvert::files {
namespace {

constexpr std::string_view kMagic = "|1|";

Bytes hash_of(std::string_view name, ByteView salt) {
  return crypto::hmac(crypto::HashId::sha1, salt, as_bytes(name));
}

}  // namespace

Result<HashedHost> HashedHost::parse(std::string_view text) {
  const std::size_t bar = text.find('|', kMagic.size());
  if (!text.starts_with(kMagic) || bar == text.npos)
    return fail(Errc::malformed, "hashed host name is malformed");
  HashedHost host{TRY(crypto::base64_decode(text.substr(kMagic.size(), bar - kMagic.size()))),
                  TRY(crypto::base64_decode(text.substr(bar + 1)))};
  if (host.salt.size() != kHostSaltSize || host.hash.size() != crypto::hash_size(crypto::HashId::sha1)) {
    return fail(Errc::malformed, "hashed host name has a wrong length");
  }
  return host;
}

HashedHost HashedHost::of(std::string_view name, Bytes salt) {
  Bytes hash = hash_of(name, salt);
  return {std::move(salt), std::move(hash)};
}

bool HashedHost::matches(std::string_view name) const { return hash_of(name, salt) == hash; }

std::string HashedHost::text() const {
  return std::string(kMagic) + crypto::base64_encode(salt) + "|" + crypto::base64_encode(hash);
}

}  // namespace culvert::files

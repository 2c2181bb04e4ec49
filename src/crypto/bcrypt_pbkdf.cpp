// SPDX-License-Identifier: Apache-2.0
#include "crypto/bcrypt_pbkdf.hpp"

#include <dlfcn.h>

#include <botan/ffi.h>
#include <fmt/format.h>

namespace culvert::crypto {
namespace {

// Loaded when an encrypted key has to be opened: it brings five other libraries, and a megabyte of memory
// that is nobody else's, which most processes never need.
decltype(&botan_pwdhash) find_function() {
  static void* const library = ::dlopen(CULVERT_BOTAN_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  return reinterpret_cast<decltype(&botan_pwdhash)>(::dlsym(library, "botan_pwdhash"));
}

}  // namespace

Result<SecretBytes> bcrypt_pbkdf(const SecretBytes& passphrase, ByteView salt, std::uint32_t rounds,
                                 std::size_t size) {
  const auto pwdhash = find_function();
  if (pwdhash == nullptr) {
    return fail(Errc::unsupported,
                fmt::format("encrypted keys need {}, which is not there", CULVERT_BOTAN_LIBRARY));
  }
  SecretBytes secret(size);
  const int status = pwdhash("Bcrypt-PBKDF", rounds, 0, 0, secret.data(), secret.size(),
                             passphrase.text().data(), passphrase.size(), salt.data(), salt.size());
  if (status != 0) return fail(Errc::unsupported, fmt::format("bcrypt_pbkdf failed: status {}", status));
  return secret;
}

}  // namespace culvert::crypto

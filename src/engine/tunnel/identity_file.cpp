// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/identity_file.hpp"

#include <algorithm>
#include <utility>

#include <unistd.h>

#include <fmt/format.h>

#include "base/text.hpp"
#include "files/small_file.hpp"

namespace culvert::tunnel {
namespace {

std::optional<crypto::PublicKey> public_key_in(std::string_view text) {
  const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
  auto key = crypto::parse_public_key_line(line);
  return key ? std::optional(*std::move(key)) : std::nullopt;
}

std::optional<crypto::PublicKey> public_key_beside(const std::string& path) {
  const auto file = read_key_file(path + ".pub");
  return file ? public_key_in(file->content.text()) : std::nullopt;
}

}  // namespace

Result<files::SmallFile> read_key_file(const std::string& path) {
  constexpr std::size_t kLongest = 256 * 1024;  // certificates have most
  return files::read_small_file(path, kLongest, files::open_without_waiting);
}

Result<IdentityFile> IdentityFile::load(const std::string& path) {
  IdentityFile identity;
  identity.path_ = path;
  auto file = read_key_file(path);
  if (!file) {
    identity.public_key_ = public_key_beside(path);
    if (identity.public_key_) return identity;
    return std::unexpected(std::move(file).error());
  }
  if ((identity.public_key_ = public_key_in(file->content.text()))) return identity;

  if (file->status.st_uid == ::getuid() && (file->status.st_mode & 077) != 0) {
    return fail(Errc::denied,
                fmt::format("Permissions 0{:03o} for '{}' are too open: this private key is ignored "
                            "(chmod 600 makes it usable)",
                            file->status.st_mode & 0777, printable(path)));
  }
  identity.text_ = std::move(file->content);
  if (auto half = crypto::parse_public_half(identity.text_.text())) {
    identity.public_key_ = *std::move(half);
    // What the file holds besides is for the token alone.
    if (identity.public_key_->is_security_key()) identity.text_ = SecretBytes();
    return identity;
  } else if (half.error().code == Errc::unsupported) {  // a passphrase would not help
    return std::unexpected(std::move(half).error());
  }
  if (auto whole = identity.unlock()) {
    identity.public_key_ = whole->public_key();
  } else if (whole.error().code == Errc::needs_passphrase) {
    identity.public_key_ = public_key_beside(path);
  } else {
    return std::unexpected(std::move(whole).error());
  }
  return identity;
}

bool IdentityFile::is_same_file(const IdentityFile& other) const {
  return path_ == other.path_ && public_key_ == other.public_key_ &&
         std::ranges::equal(text_.view(), other.text_.view());
}

Result<crypto::PrivateKey> IdentityFile::unlock(const SecretBytes* passphrase) {
  if (key_) return *key_;
  if (text_.empty()) return fail(Errc::not_found, fmt::format("{} holds no private key", printable(path_)));
  auto key = TRY(crypto::parse_private_key(text_.text(), passphrase));
  // A .pub file or a public half that belongs to another key would have us sign for a key that we did not
  // offer.
  if (public_key_ && !(key.public_key() == *public_key_)) {
    return fail(Errc::malformed,
                fmt::format("the private and the public key of {} do not belong together", printable(path_)));
  }
  key_ = std::move(key);
  return *key_;
}

}  // namespace culvert::tunnel

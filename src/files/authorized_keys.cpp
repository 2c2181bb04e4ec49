// SPDX-License-Identifier: Apache-2.0
#include "files/authorized_keys.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "crypto/key_line.hpp"

namespace culvert::files {
namespace {

constexpr std::size_t kMaxWarnings = 100;

void skip_blanks(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(kBlanks), rest.size()));
}

/// The options end at the first blank that is not in quotes.
Result<std::string_view> take_options(std::string_view& rest) {
  bool quoted = false;
  std::size_t end = 0;
  for (; end < rest.size() && (quoted || kBlanks.find(rest[end]) == kBlanks.npos); ++end) {
    if (rest[end] == '"') quoted = !quoted;
    if (rest.substr(end).starts_with("\\\"")) ++end;
  }
  if (quoted) return fail(Errc::malformed, "quotes in front of the key are not closed");
  const std::string_view options = rest.substr(0, end);
  rest.remove_prefix(options.size());
  return options;
}

bool is_certificate_type(std::string_view word) { return word.ends_with("-cert-v01@openssh.com"); }

bool is_key_type(std::string_view word) {
  return !crypto::signature_algorithms(word).empty() || word == "ssh-dss" || is_certificate_type(word);
}

Result<crypto::PublicKey> read_key(std::string_view type, std::string_view digits) {
  if (type.empty() || digits.empty()) return fail(Errc::malformed, "key is missing");
  if (is_certificate_type(type))
    return fail(Errc::unsupported,
                "this is a certificate: put its authority's key here, with cert-authority");
  if (!is_key_type(type) || type == "ssh-dss")
    return fail(Errc::unsupported, fmt::format("key type \"{}\" is not supported", printable(type, 64)));
  crypto::PublicKey key = TRY(crypto::PublicKey::parse(TRY(crypto::key_blob(type, digits))));
  if (key.is_security_key())
    return fail(Errc::unsupported, fmt::format("keys of type {} are not supported here", type));
  return key;
}

/// None: there is no key on this line, and none was meant.
Result<std::optional<AuthorizedKey>> read_line(std::string_view line, const LocalToUtc& local_to_utc) {
  if (line.size() > kMaxAuthorizedKeysLine) return fail(Errc::limit, "line is too long");
  if (line.find('\0') != line.npos) return fail(Errc::malformed, "line has a zero byte in it");
  skip_blanks(line);
  if (line.empty() || line.starts_with('#')) return std::nullopt;
  KeyOptions options;
  if (!is_key_type(line.substr(0, line.find_first_of(kBlanks))))
    options = TRY(parse_key_options(TRY(take_options(line)), local_to_utc));
  const std::string_view type = next_word(line);
  crypto::PublicKey key = TRY(read_key(type, next_word(line)));
  skip_blanks(line);
  line = line.substr(0, line.find_last_not_of(kBlanks) + 1);
  return AuthorizedKey{std::move(key), std::string(line), 0, std::move(options)};
}

bool takes_principals(const KeyOptions& options, const crypto::Certificate& certificate,
                      std::string_view user) {
  return std::ranges::any_of(certificate.principals(), [&](const std::string& name) {
    if (!options.principals) return name == user;
    return std::ranges::find(*options.principals, name) != options.principals->end();
  });
}

}  // namespace

std::vector<const AuthorizedKey*> AuthorizedKeys::with_key(const crypto::PublicKey& key) const {
  std::vector<const AuthorizedKey*> found;
  for (const AuthorizedKey& entry : keys) {
    if (!entry.options.is_authority && entry.key == key) found.push_back(&entry);
  }
  return found;
}

std::vector<const AuthorizedKey*> AuthorizedKeys::with_authority(const crypto::Certificate& certificate,
                                                                 std::string_view user) const {
  std::vector<const AuthorizedKey*> found;
  if (certificate.kind() != crypto::Certificate::Kind::user) return found;
  for (const AuthorizedKey& entry : keys) {
    if (entry.options.is_authority && entry.key == certificate.authority() &&
        takes_principals(entry.options, certificate, user))
      found.push_back(&entry);
  }
  return found;
}

Result<AuthorizedKeys> parse_authorized_keys(std::string_view text, const LocalToUtc& local_to_utc) {
  if (text.size() > kMaxAuthorizedKeysSize) {
    return fail(Errc::limit,
                fmt::format("larger than {} MiB, which is no list of keys", kMaxAuthorizedKeysSize >> 20));
  }
  AuthorizedKeys out;
  const auto warn = [&out](std::size_t line, std::string why) {
    if (out.warnings.size() < kMaxWarnings) out.warnings.push_back({line, std::move(why)});
  };
  for (std::size_t number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    auto entry = read_line(line, local_to_utc);
    if (!entry) {
      warn(number, std::move(entry).error().message);
    } else if (*entry) {
      if (out.keys.size() == kMaxAuthorizedKeys) {
        warn(number,
             fmt::format("more than {} keys: this one and those behind it do not count", kMaxAuthorizedKeys));
        break;
      }
      (*entry)->line = number;
      out.keys.push_back(**std::move(entry));
    }
  }
  return out;
}

}  // namespace culvert::files

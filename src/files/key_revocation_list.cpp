// SPDX-License-Identifier: Apache-2.0
#include "files/key_revocation_list.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "crypto/hash.hpp"

namespace culvert::files {
namespace {

constexpr std::string_view kMagic("SSHKRL\n\0", 8);
constexpr std::uint32_t kFormat = 1;

enum Section : std::uint8_t {
  kCertificates = 1,
  kKeys = 2,
  kSha1s = 3,
  kSignature = 4,
  kSha256s = 5,
  kExtension = 255,
};

enum CertificateSection : std::uint8_t {
  kSerialList = 0x20,
  kSerialRange = 0x21,
  kSerialBitmap = 0x22,
  kKeyIds = 0x23,
  kCertificateExtension = 0x39,
};

std::unexpected<Error> malformed(const char* what) { return fail(Errc::malformed, what); }

Result<void> read_extension(Reader reader) {
  const auto name = TRY(reader.text());
  const bool is_critical = TRY(reader.boolean());
  TRY(reader.string());
  TRY(reader.end());
  if (!is_critical) return {};
  return fail(Errc::unsupported, fmt::format("unknown critical extension {}", printable(name, 100)));
}

/// `size` 0: of any.
Result<void> read_strings(Reader reader, std::vector<ByteView>& into, std::size_t size) {
  while (reader.remaining() > 0) {
    const auto value = TRY(reader.string());
    if (size != 0 && value.size() != size) return malformed("a hash of a wrong length");
    into.push_back(value);
  }
  return {};
}

/// Serial 0 is what certificates have whose authority counts none: a list that revokes it is a mistake, and
/// OpenSSH refuses it, too.
Result<void> check_serials(std::uint64_t first, std::uint64_t last) {
  if (first == 0 || first > last) return malformed("serial numbers out of order, or 0");
  return {};
}

bool holds(const std::vector<ByteView>& list, ByteView wanted) {
  return std::ranges::any_of(list, [&](ByteView one) { return std::ranges::equal(one, wanted); });
}

}  // namespace

bool KeyRevocationList::is_one(std::string_view content) { return content.starts_with(kMagic); }

Result<KeyRevocationList> KeyRevocationList::parse(std::string content) {
  if (!is_one(content)) return malformed("wrong first bytes");
  KeyRevocationList list;
  list.content_ = std::make_shared<const std::string>(std::move(content));
  auto done = list.read(Reader(as_bytes(*list.content_).subspan(kMagic.size())));
  if (!done) return fail(done.error().code, "key revocation list: " + done.error().message);
  return list;
}

Result<void> KeyRevocationList::read(Reader reader) {
  const auto format = TRY(reader.u32());
  if (format != kFormat) return fail(Errc::unsupported, fmt::format("unknown format {}", format));
  TRY(reader.u64());     // version of the list
  TRY(reader.u64());     // when it was made
  TRY(reader.u64());     // flags, of which there are none
  TRY(reader.string());  // reserved
  TRY(reader.string());  // comment
  for (bool is_signed = false; reader.remaining() > 0;) {
    const auto type = TRY(reader.byte());
    const auto section = TRY(reader.string());
    if (is_signed && type != kSignature) return malformed("a section behind the signature");
    switch (type) {
      case kCertificates:
        TRY(read_certificates(Reader(section)));
        break;
      case kKeys:
        TRY(read_strings(Reader(section), keys_, 0));
        break;
      case kSha1s:
        TRY(read_strings(Reader(section), sha1s_, crypto::hash_size(crypto::HashId::sha1)));
        break;
      case kSha256s:
        TRY(read_strings(Reader(section), sha256s_, crypto::hash_size(crypto::HashId::sha256)));
        break;
      case kSignature:
        is_signed = true;
        TRY(reader.string());  // `section` was the key; this is the signature
        break;
      case kExtension:
        TRY(read_extension(Reader(section)));
        break;
      default:
        return fail(Errc::unsupported, fmt::format("unknown section {}", type));
    }
  }
  return {};
}

Result<void> KeyRevocationList::read_certificates(Reader reader) {
  const auto authority = TRY(reader.string());
  TRY(reader.string());  // reserved
  if (!authority.empty()) {
    // One of a type that is not ours has signed nothing that we would take.
    auto key = crypto::PublicKey::parse(authority);
    if (!key && key.error().code != Errc::unsupported) return std::unexpected(std::move(key).error());
  }
  while (reader.remaining() > 0) {
    const auto type = TRY(reader.byte());
    const Reader section(TRY(reader.string()));
    switch (type) {
      case kSerialList:
        TRY(read_serials(authority, section));
        break;
      case kSerialRange:
        TRY(read_range(authority, section));
        break;
      case kSerialBitmap:
        TRY(read_bitmap(authority, section));
        break;
      case kKeyIds:
        TRY(read_key_ids(authority, section));
        break;
      case kCertificateExtension:
        TRY(read_extension(section));
        break;
      default:
        return fail(Errc::unsupported, fmt::format("unknown section {} of certificates", type));
    }
  }
  return {};
}

Result<void> KeyRevocationList::read_serials(ByteView authority, Reader reader) {
  while (reader.remaining() > 0) {
    const auto serial = TRY(reader.u64());
    TRY(check_serials(serial, serial));
    serials_.push_back({authority, serial, serial});
  }
  return {};
}

Result<void> KeyRevocationList::read_range(ByteView authority, Reader reader) {
  const auto first = TRY(reader.u64());
  const auto last = TRY(reader.u64());
  TRY(reader.end());
  TRY(check_serials(first, last));
  serials_.push_back({authority, first, last});
  return {};
}

Result<void> KeyRevocationList::read_bitmap(ByteView authority, Reader reader) {
  const auto offset = TRY(reader.u64());
  const auto bits = TRY(reader.mpint());
  TRY(reader.end());
  if (bits.empty()) return {};
  // It has no leading zeros: the first byte holds the highest bit that is set.
  const std::uint64_t highest = (bits.size() - 1) * 8 + static_cast<unsigned>(std::bit_width(bits[0])) - 1;
  if (highest > std::numeric_limits<std::uint64_t>::max() - offset)
    return malformed("serial numbers beyond the last one");
  if (offset == 0 && (bits.back() & 1) != 0) TRY(check_serials(0, 0));
  bitmaps_.push_back({authority, offset, bits});
  return {};
}

Result<void> KeyRevocationList::read_key_ids(ByteView authority, Reader reader) {
  while (reader.remaining() > 0) {
    const auto id = TRY(reader.text());
    if (id.find('\0') != id.npos) return malformed("a key id with a zero byte in it");
    key_ids_.push_back({authority, id});
  }
  return {};
}

bool KeyRevocationList::revokes(const crypto::PublicKey& key) const {
  if (holds(keys_, key.blob())) return true;
  if (!sha1s_.empty() && holds(sha1s_, crypto::hash(crypto::HashId::sha1, key.blob()))) return true;
  return !sha256s_.empty() && holds(sha256s_, crypto::hash(crypto::HashId::sha256, key.blob()));
}

bool KeyRevocationList::revokes(const crypto::Certificate& certificate) const {
  if (revokes(certificate.key()) || revokes(certificate.authority())) return true;
  const auto is_of = [signer = certificate.authority().blob()](const auto& entry) {
    return entry.authority.empty() || std::ranges::equal(entry.authority, signer);
  };
  const auto is_id = [&](const KeyId& entry) { return entry.id == certificate.key_id() && is_of(entry); };
  if (std::ranges::any_of(key_ids_, is_id)) return true;

  const std::uint64_t serial = certificate.serial();
  if (serial == 0) return false;
  const auto is_between = [&](const Serials& entry) {
    return entry.first <= serial && serial <= entry.last && is_of(entry);
  };
  if (std::ranges::any_of(serials_, is_between)) return true;
  return std::ranges::any_of(bitmaps_, [&](const Bitmap& entry) {
    if (serial < entry.offset || (serial - entry.offset) / 8 >= entry.bits.size()) return false;
    const std::uint64_t bit = serial - entry.offset;
    const std::uint8_t byte = entry.bits[entry.bits.size() - 1 - static_cast<std::size_t>(bit / 8)];
    return (byte >> (bit % 8) & 1) != 0 && is_of(entry);
  });
}

}  // namespace culvert::files

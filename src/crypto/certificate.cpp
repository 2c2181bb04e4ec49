// SPDX-License-Identifier: Apache-2.0
#include "crypto/certificate.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "base/wire.hpp"
#include "crypto/key_algorithms.hpp"
#include "crypto/key_line.hpp"
#include "crypto/key_types.hpp"

namespace culvert::crypto {

namespace {

/// What lists of options hold: names, and what each name holds.
struct Options {
  std::vector<std::string> names;
  std::vector<Bytes> contents;

  [[nodiscard]] std::optional<ByteView> find(std::string_view name) const {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) return std::nullopt;
    return contents[static_cast<std::size_t>(found - names.begin())];
  }
};

}  // namespace

struct Certificate::State {
  std::string type;
  Bytes blob;
  PublicKey key;
  PublicKey authority;
  std::string signature_algorithm;
  Kind kind;
  std::uint64_t serial;
  std::string key_id;
  std::vector<std::string> principals;
  std::uint64_t valid_after, valid_before;
  Options critical_options, extensions;
};

namespace {

constexpr std::size_t kMaxOptions = 256;

/// Takes the fields that a key of this type has, and gives them as a plain key's blob.
Result<Bytes> plain_blob(std::string_view key_type, Reader& reader) {
  Bytes blob;
  Writer writer(blob);
  writer.text(key_type);
  if (key_type == kRsa) {
    // Copied as they are, not read as numbers: PublicKey decides whether they are well-formed.
    writer.string(TRY(reader.string())).string(TRY(reader.string()));
    return blob;
  }
  if (find_curve(base_type(key_type)) != nullptr) writer.string(TRY(reader.string()));
  writer.string(TRY(reader.string()));
  if (is_security_key_type(key_type)) writer.string(TRY(reader.string()));
  return blob;
}

Result<std::vector<std::string>> read_principals(ByteView bytes) {
  std::vector<std::string> names;
  Reader reader(bytes);
  while (reader.remaining() > 0) {
    if (names.size() == kMaxPrincipals) return fail(Errc::limit, "certificate names too many principals");
    names.emplace_back(TRY(reader.text()));
  }
  return names;
}

/// The content of an option is for whoever knows it.
Result<Options> read_options(ByteView bytes) {
  Options options;
  Reader reader(bytes);
  while (reader.remaining() > 0) {
    if (options.names.size() == kMaxOptions) return fail(Errc::limit, "certificate has too many options");
    options.names.emplace_back(TRY(reader.text()));
    options.contents.push_back(copy_of(TRY(reader.string())));
  }
  return options;
}

/// An authority is a plain key. Said here, since a certificate would only be a type that is not supported.
Result<PublicKey> read_authority(ByteView blob) {
  if (const auto type = Reader(blob).text(); type && !certified_key_type(*type).empty())
    return fail(Errc::unsupported, "certificate is signed by a certificate, not by a key");
  auto key = PublicKey::parse(blob);
  if (!key && key.error().code != Errc::malformed)
    return fail(Errc::verification,
                fmt::format("certificate's authority does not count: {}", key.error().message));
  return key;
}

/// Of a certificate, as far as the key that it is for: its type and that key's blob.
struct Certified {
  std::string_view type;
  Bytes key;
};
Result<Certified> read_certified(Reader& reader) {
  const std::string_view type = TRY(reader.text());
  const std::string_view key_type = certified_key_type(type);
  if (key_type.empty()) {
    return fail(Errc::unsupported,
                fmt::format("certificate type \"{}\" is not supported", printable(type, 64)));
  }
  TRY(reader.string());  // the nonce
  return Certified{type, TRY(plain_blob(key_type, reader))};
}

std::string day_and_time(std::uint64_t seconds) {
  // Far in the future: beyond what a calendar of four digits shows.
  if (seconds > 253402300799) return "the end of time";
  const auto moment = static_cast<std::time_t>(seconds);
  std::tm parts{};
  ::gmtime_r(&moment, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string shown(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i) {
    text += (i == 0 ? "" : ", ") + printable(names[i], 100);
  }
  return names.size() > kMost ? text + ", ..." : text;
}

}  // namespace

Result<Certificate> Certificate::parse(ByteView blob) {
  if (blob.size() > kMaxCertificateSize) return fail(Errc::limit, "certificate is too large");
  Reader reader(blob);
  const Certified certified = TRY(read_certified(reader));
  PublicKey key = TRY(PublicKey::parse(certified.key));
  const std::uint64_t serial = TRY(reader.u64());
  const std::uint32_t kind = TRY(reader.u32());
  if (kind != static_cast<std::uint32_t>(Kind::user) && kind != static_cast<std::uint32_t>(Kind::host))
    return fail(Errc::unsupported, "certificate is neither for a user nor for a host");
  const std::string_view key_id = TRY(reader.text());
  auto principals = TRY(read_principals(TRY(reader.string())));
  const std::uint64_t valid_after = TRY(reader.u64());
  const std::uint64_t valid_before = TRY(reader.u64());
  auto critical_options = TRY(read_options(TRY(reader.string())));
  auto extensions = TRY(read_options(TRY(reader.string())));
  TRY(reader.string());  // reserved
  PublicKey authority = TRY(read_authority(TRY(reader.string())));
  const ByteView is_signed = blob.first(blob.size() - reader.remaining());
  const ByteView signature = TRY(reader.string());
  TRY(reader.end());
  const std::string_view algorithm = TRY(Reader(signature).text());
  if (algorithm == kRsa)
    return fail(Errc::verification, "certificate is signed with ssh-rsa (SHA-1), which does not count");
  TRY(authority.verify(algorithm, is_signed, signature));
  return Certificate(std::make_shared<const State>(State{
      .type = std::string(certified.type),
      .blob = copy_of(blob),
      .key = std::move(key),
      .authority = std::move(authority),
      .signature_algorithm = std::string(algorithm),
      .kind = static_cast<Kind>(kind),
      .serial = serial,
      .key_id = std::string(key_id),
      .principals = std::move(principals),
      .valid_after = valid_after,
      .valid_before = valid_before,
      .critical_options = std::move(critical_options),
      .extensions = std::move(extensions),
  }));
}

const std::string& Certificate::type() const { return state_->type; }
ByteView Certificate::blob() const { return state_->blob; }
const PublicKey& Certificate::key() const { return state_->key; }
const PublicKey& Certificate::authority() const { return state_->authority; }
std::string_view Certificate::signature_algorithm() const { return state_->signature_algorithm; }
Certificate::Kind Certificate::kind() const { return state_->kind; }
std::uint64_t Certificate::serial() const { return state_->serial; }
const std::string& Certificate::key_id() const { return state_->key_id; }
const std::vector<std::string>& Certificate::principals() const { return state_->principals; }
std::uint64_t Certificate::valid_after() const { return state_->valid_after; }
std::uint64_t Certificate::valid_before() const { return state_->valid_before; }
const std::vector<std::string>& Certificate::critical_options() const {
  return state_->critical_options.names;
}
std::optional<ByteView> Certificate::critical_option(std::string_view name) const {
  return state_->critical_options.find(name);
}
std::optional<ByteView> Certificate::extension(std::string_view name) const {
  return state_->extensions.find(name);
}

bool Certificate::operator==(const Certificate& other) const {
  return state_ == other.state_ || state_->blob == other.state_->blob;
}

Result<void> check_validity(const Certificate& certificate, std::uint64_t now) {
  if (now < certificate.valid_after()) {
    return fail(Errc::verification,
                fmt::format("it is not valid before {}", day_and_time(certificate.valid_after())));
  }
  if (now >= certificate.valid_before()) {
    return fail(Errc::verification,
                fmt::format("it expired on {}", day_and_time(certificate.valid_before())));
  }
  return {};
}

Result<void> check_host_certificate(const Certificate& certificate, std::string_view host, std::uint64_t now,
                                    std::span<const std::string> algorithms) {
  if (certificate.kind() != Certificate::Kind::host)
    return fail(Errc::verification, "it is for a user, not for a host");
  TRY(check_validity(certificate, now));
  const auto& names = certificate.principals();
  if (names.empty()) return fail(Errc::verification, "it names no host");
  if (std::ranges::find(names, host) == names.end()) {
    return fail(Errc::verification, fmt::format("it is for {}, not for {}", shown(names), printable(host)));
  }
  if (!certificate.critical_options().empty()) {
    return fail(Errc::verification,
                fmt::format("it has options that are not known: {}", shown(certificate.critical_options())));
  }
  if (std::ranges::find(algorithms, certificate.signature_algorithm()) == algorithms.end()) {
    return fail(Errc::verification, fmt::format("it is signed with {}, which CASignatureAlgorithms excludes",
                                                certificate.signature_algorithm()));
  }
  return {};
}

Result<Bytes> certified_key_blob(ByteView certificate) {
  Reader reader(certificate);
  return TRY(read_certified(reader)).key;
}

Result<Certificate> parse_certificate_line(std::string_view line) {
  return Certificate::parse(TRY(split_key_line(line)).blob);
}

}  // namespace culvert::crypto

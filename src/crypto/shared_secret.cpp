// SPDX-License-Identifier: Apache-2.0
#include "crypto/shared_secret.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/wire.hpp"

namespace culvert::crypto {
namespace {

constexpr std::int64_t kDisconnectKeyExchangeFailed = 3;  // RFC 4253 section 11.1
constexpr std::size_t kLengthSize = 4;

}  // namespace

SharedSecret encode_as_mpint(ByteView magnitude) {
  while (!magnitude.empty() && magnitude.front() == 0) magnitude = magnitude.subspan(1);
  // A first bit of 1 would mean a negative number.
  const std::size_t sign = !magnitude.empty() && (magnitude.front() & 0x80) != 0 ? 1 : 0;
  SecretBytes encoded(kLengthSize + sign + magnitude.size());
  store_u32(encoded.data(), static_cast<std::uint32_t>(sign + magnitude.size()));
  std::ranges::copy(magnitude, encoded.data() + kLengthSize + sign);
  return {std::move(encoded)};
}

SharedSecret encode_as_string(ByteView bytes) {
  SecretBytes encoded(kLengthSize + bytes.size());
  store_u32(encoded.data(), static_cast<std::uint32_t>(bytes.size()));
  std::ranges::copy(bytes, encoded.data() + kLengthSize);
  return {std::move(encoded)};
}

std::unexpected<Error> bad_public_value(std::string_view why) {
  return fail(Errc::protocol, fmt::format("the other end sent a bad value for the key exchange ({})", why),
              kDisconnectKeyExchangeFailed);
}

}  // namespace culvert::crypto

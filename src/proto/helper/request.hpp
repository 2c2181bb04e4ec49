// SPDX-License-Identifier: Apache-2.0
// What the worker asks its privileged helper for, and the answers: values and their bytes. Of RFC 4251's
// types, one request or reply to a message of at most kLongestMessage bytes.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/ip_address.hpp"
#include "base/result.hpp"

namespace culvert::helper {

inline constexpr std::size_t kLongestMessage = 64 * 1024;

/// A signature of a host key over what a server signs: an exchange hash, or a proof of a host key.
struct SignRequest {
  std::uint32_t key = 0;  ///< its number
  std::string algorithm;
  Bytes message;
};

/// A file that the plan or the rules name, for reading. The reply brings the descriptor.
struct OpenRequest {
  std::string path;
};

/// A TCP socket, bound where the plan or a rule lets somebody listen. The reply brings the descriptor.
struct BindRequest {
  IpAddress address;
  std::uint32_t scope = 0;  ///< the zone of a link-local address, as sin6_scope_id
  std::uint16_t port = 0;
};

using Request = std::variant<SignRequest, OpenRequest, BindRequest>;

[[nodiscard]] Bytes encode(const Request& request);
/// Errc::malformed.
[[nodiscard]] Result<Request> decode_request(ByteView message);

/// The bytes of a success, or the error that the call had. An Error's message is one line, printable.
[[nodiscard]] Bytes encode_reply(const Result<Bytes>& reply);
/// The reply, or Errc::malformed.
[[nodiscard]] Result<Bytes> decode_reply(ByteView message);

}  // namespace culvert::helper

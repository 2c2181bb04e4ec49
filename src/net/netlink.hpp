// SPDX-License-Identifier: Apache-2.0
// What netlink(7) messages are made of. Each length is checked before it is believed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include <linux/netlink.h>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace culvert::net::netlink {

/// Errc::system with the cause alone, and its errno in `detail`.
[[nodiscard]] inline std::unexpected<Error> failed(int error) {
  return fail(Errc::system, std::strerror(error), error);
}

/// None if `bytes` is too short for it.
template <class T>
[[nodiscard]] std::optional<T> read_as(ByteView bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// What is behind the first `size` bytes, padded as netlink pads.
[[nodiscard]] inline ByteView behind(ByteView bytes, std::size_t size) {
  return bytes.subspan(std::min<std::size_t>(NLMSG_ALIGN(size), bytes.size()));
}

/// Calls `visit(const nlmsghdr&, ByteView payload)` for each whole message of a datagram, until it returns
/// false.
template <class Visit>
void for_each_message(ByteView datagram, Visit visit) {
  while (const auto head = read_as<nlmsghdr>(datagram)) {
    if (head->nlmsg_len < sizeof(nlmsghdr) || head->nlmsg_len > datagram.size()) return;
    if (!visit(*head, behind(datagram.first(head->nlmsg_len), sizeof(nlmsghdr)))) return;
    datagram = behind(datagram, head->nlmsg_len);
  }
}

/// Calls `visit(std::uint16_t type, ByteView value)` for each whole attribute. (Those of rtnetlink(7) look
/// alike.)
template <class Visit>
void for_each_attribute(ByteView attributes, Visit visit) {
  while (const auto head = read_as<nlattr>(attributes)) {
    if (head->nla_len < sizeof(nlattr) || head->nla_len > attributes.size()) return;
    visit(static_cast<std::uint16_t>(head->nla_type & NLA_TYPE_MASK),
          behind(attributes.first(head->nla_len), sizeof(nlattr)));
    attributes = behind(attributes, head->nla_len);
  }
}

}  // namespace culvert::net::netlink

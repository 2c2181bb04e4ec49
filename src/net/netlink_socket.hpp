// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/netlink.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

/// Asks the kernel by netlink(7), one question at a time. It answers at once; what does not come within two
/// seconds is a failure, as is a table of more than 100,000 entries. Errors: Errc::system with the cause
/// alone, and its errno in `detail`.
class NetlinkSocket {
 public:
  /// `protocol`: NETLINK_ROUTE (rtnetlink(7)), NETLINK_NETFILTER (nfnetlink).
  [[nodiscard]] static Result<NetlinkSocket> open(int protocol);

  /// `header` (rtmsg, ifaddrmsg) and `attributes` are what comes behind the nlmsghdr. `visit` is given what
  /// comes there in each answer: one, or with NLM_F_DUMP in `flags` all of a table. As long as the call. With
  /// NLM_F_ACK alone it is a request that is done, or fails.
  template <class Header>
  [[nodiscard]] Result<void> ask(std::uint16_t type, std::uint16_t flags, const Header& header,
                                 ByteView attributes,
                                 const std::function<void(const Header&, ByteView attributes)>& visit) {
    Bytes body(NLMSG_ALIGN(sizeof header));
    std::memcpy(body.data(), &header, sizeof header);
    body.insert(body.end(), attributes.begin(), attributes.end());
    return ask(type, flags, body, [&](ByteView answer) {
      if (const auto head = netlink::read_as<Header>(answer))
        visit(*head, netlink::behind(answer, sizeof(Header)));
    });
  }

  /// For who keeps what was asked for by keeping it open.
  [[nodiscard]] UniqueFd release() && { return std::move(socket_); }

 private:
  explicit NetlinkSocket(UniqueFd socket) : socket_(std::move(socket)) {}
  [[nodiscard]] Result<void> ask(std::uint16_t type, std::uint16_t flags, ByteView body,
                                 const std::function<void(ByteView)>& visit);

  UniqueFd socket_;
  std::uint32_t question_ = 0;
};

}  // namespace culvert::net

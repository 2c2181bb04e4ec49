// SPDX-License-Identifier: Apache-2.0
#include "net/udp_inbox.hpp"

#include <cerrno>
#include <cstring>

#include <netinet/udp.h>

#include "base/assert.hpp"

namespace culvert::net {

namespace ip = boost::asio::ip;

namespace {

constexpr std::size_t kSlotSize = 65536;  // what the kernel may put together
// Equal places in consecutive pages would share the few ways of one line of the cache.
constexpr std::size_t kStride = kSlotSize + 192;

template <class Value>
Value data_of(const cmsghdr* part) {
  Value value;
  std::memcpy(&value, CMSG_DATA(part), sizeof value);
  return value;
}

// A group of hearers is no address to answer from.
ip::address sender_address(const ip::address& to) { return to.is_multicast() ? ip::address() : to; }

}  // namespace

UdpInbox::UdpInbox() : memory_(new std::uint8_t[kSlots * kStride]) {  // not cleared: no page is touched
  for (std::size_t i = 0; i < kSlots; ++i) {
    vectors_[i] = {memory_.get() + i * kStride, kSlotSize};
    messages_[i] = {};
    messages_[i].msg_hdr.msg_iov = &vectors_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
    messages_[i].msg_hdr.msg_name = peers_[i].data();
    messages_[i].msg_hdr.msg_control = controls_[i].bytes;
  }
  count_ = kSlots;
  clear();
}

void UdpInbox::clear() {
  for (std::size_t i = 0; i < count_; ++i) {  // recvmmsg left what it used
    messages_[i].msg_hdr.msg_namelen = static_cast<socklen_t>(peers_[i].capacity());
    messages_[i].msg_hdr.msg_controllen = sizeof controls_[i].bytes;
  }
  count_ = 0;
}

Transferred UdpInbox::receive(int socket) {
  CULVERT_ASSERT(!full());
  int got = 0;
  do {
    got =
        ::recvmmsg(socket, &messages_[count_], static_cast<unsigned>(kSlots - count_), MSG_DONTWAIT, nullptr);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return {0, errno};
  for (int i = 0; i < got; ++i, ++count_) {
    const mmsghdr& message = messages_[count_];
    UdpArrival& arrival = arrivals_[count_];
    arrival.bytes = {static_cast<const std::uint8_t*>(vectors_[count_].iov_base), message.msg_len};
    arrival.segment = message.msg_len;
    arrival.to = ip::address();
    arrival.from = &peers_[count_];
    if (message.msg_hdr.msg_namelen > 0) peers_[count_].resize(message.msg_hdr.msg_namelen);
    if (message.msg_hdr.msg_controllen > 0) read_control(message.msg_hdr, arrival);
  }
  return {static_cast<std::size_t>(got), 0};
}

Transferred UdpInbox::receive(int socket, ReadySet::Member& watched) {
  const Transferred got = receive(socket);
  // Fewer than there was room for: the next try met "not now", or an error, which the socket keeps and tells
  // of.
  if (got.would_block() || (got.error == 0 && !full())) watched.drained();
  return got;
}

void UdpInbox::read_control(const msghdr& message, UdpArrival& arrival) const {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(const_cast<msghdr*>(&message), part)) {
    if (part->cmsg_level == IPPROTO_UDP && part->cmsg_type == UDP_GRO) {
      const int segment = data_of<int>(part);
      if (segment > 0) arrival.segment = static_cast<std::size_t>(segment);
    } else if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
      arrival.to = ip::address_v4(ntohl(data_of<in_pktinfo>(part).ipi_spec_dst.s_addr));
    } else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      const auto info = data_of<in6_pktinfo>(part);
      ip::address_v6::bytes_type bytes;
      std::memcpy(bytes.data(), &info.ipi6_addr, bytes.size());
      ip::address_v6 address(bytes);
      if (address.is_link_local()) address.scope_id(info.ipi6_ifindex);
      arrival.to = sender_address(address);
    }
  }
}

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
//
//     add --> items --> pack: one message for a run --> send_messages: one sendmmsg --> the kernel, or
//     dropped
#include "net/udp_outbox.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <netinet/udp.h>

#include "base/assert.hpp"

namespace culvert::net {

namespace ip = boost::asio::ip;

namespace {

constexpr std::size_t kMostInRun = 64;  // UDP_MAX_SEGMENTS of kernels before 6.9
constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;

template <class Value>
void put_control(msghdr& header, int level, int type, const Value& value) {
  auto* part =
      reinterpret_cast<cmsghdr*>(static_cast<std::uint8_t*>(header.msg_control) + header.msg_controllen);
  part->cmsg_level = level;
  part->cmsg_type = type;
  part->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(part), &value, sizeof value);
  header.msg_controllen += CMSG_SPACE(sizeof value);
}

// Beyond the path's MTU a run fails with EMSGSIZE, and with EINVAL in older kernels.
bool refuses_runs(int error) { return error == EIO || error == EINVAL || error == EMSGSIZE; }

void put_source(msghdr& header, const ip::address& from) {
  if (from.is_v4()) {
    in_pktinfo info = {};
    info.ipi_spec_dst.s_addr = htonl(from.to_v4().to_uint());
    return put_control(header, IPPROTO_IP, IP_PKTINFO, info);
  }
  in6_pktinfo info = {};
  const auto bytes = from.to_v6().to_bytes();
  std::memcpy(&info.ipi6_addr, bytes.data(), bytes.size());
  info.ipi6_ifindex = static_cast<unsigned>(from.to_v6().scope_id());
  put_control(header, IPPROTO_IPV6, IPV6_PKTINFO, info);
}

}  // namespace

UdpSent& UdpSent::operator+=(const UdpSent& other) {
  datagrams += other.datagrams;
  bytes += other.bytes;
  dropped += other.dropped;
  if (other.error != 0) error = other.error;
  return *this;
}

bool UdpOutbox::Item::same_way_as(const Item& other) const {
  if (is_connected || other.is_connected) return is_connected == other.is_connected;
  return to == other.to && from == other.from;
}

UdpOutbox::Item& UdpOutbox::next_item(const UdpWay& way) {
  CULVERT_ASSERT(!full());
  Item& item = items_[item_count_++];
  item.is_connected = way.to == nullptr;
  if (way.to != nullptr) item.to = *way.to;
  item.from = way.from;
  return item;
}

void UdpOutbox::add(ByteView bytes, std::size_t segment, const UdpWay& way) {
  Item& item = next_item(way);
  item.head = {};
  item.bytes = bytes;
  item.segment = segment;
}

void UdpOutbox::add(ByteView head, ByteView body, const UdpWay& way) {
  Item& item = next_item(way);
  item.head = head;
  item.bytes = body;
  item.segment = body.size();
}

UdpSent UdpOutbox::flush(UdpSocket& socket) {
  UdpSent sent;
  for (std::size_t i = 0; i < item_count_; ++i) {
    const Item& item = items_[i];
    ByteView rest = item.bytes;
    do {  // an empty datagram is one, too
      if (!has_room()) send_messages(socket, sent);
      rest = rest.subspan(pack(item, rest, socket.largest_in_run));
    } while (!rest.empty());
  }
  send_messages(socket, sent);
  item_count_ = 0;
  return sent;
}

// A message more, with its head.
bool UdpOutbox::has_room() const {
  return message_count_ < headers_.size() && vector_count_ + 2 <= vectors_.size();
}

// Puts the front of what is left of an item into a message, and returns how much that was.
std::size_t UdpOutbox::pack(const Item& item, ByteView rest, std::size_t largest_in_run) {
  const bool may_run = item.head.empty() && item.segment > 0 && item.segment <= largest_in_run;
  std::size_t most = std::min(rest.size(), item.segment);
  if (may_run) {
    const std::size_t count = std::min(kMostInRun, kLargestDatagram / item.segment);
    most = std::min(rest.size(), std::max<std::size_t>(count, 1) * item.segment);
  }
  const ByteView bytes = rest.first(most);
  const std::size_t segment = std::min(item.segment, bytes.size());
  Message* message = message_count_ > 0 ? &messages_[message_count_ - 1] : nullptr;
  if (!may_run || message == nullptr || !message->takes(item, bytes.size(), segment)) {
    message = &messages_[message_count_++];
    *message = {&item, vector_count_, 0, 0, segment, !may_run};
    if (!item.head.empty()) push(*message, item.head);
  }
  push(*message, bytes);
  message->bytes += bytes.size();
  message->is_closed = message->is_closed || message->bytes % message->segment != 0;
  return bytes.size();
}

// Whether datagrams of this size may follow those that it has: as many bytes each, but for the last.
bool UdpOutbox::Message::takes(const Item& next, std::size_t size, std::size_t next_segment) const {
  const bool fits = next_segment == segment || (size == next_segment && size < segment);
  return !is_closed && fits && bytes + size <= kLargestDatagram &&
         (bytes + size + segment - 1) / segment <= kMostInRun && item->same_way_as(next);
}

void UdpOutbox::push(Message& message, ByteView bytes) {
  vectors_[vector_count_++] = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  ++message.vectors;
}

void UdpOutbox::address(std::size_t index) {
  const Message& message = messages_[index];
  msghdr& header = headers_[index].msg_hdr;
  header = {};
  header.msg_iov = &vectors_[message.first_vector];
  header.msg_iovlen = message.vectors;
  header.msg_control = controls_[index].bytes;
  if (!message.item->is_connected) {
    header.msg_name = const_cast<void*>(static_cast<const void*>(message.item->to.data()));
    header.msg_namelen = static_cast<socklen_t>(message.item->to.size());
  }
  if (!message.item->from.is_unspecified()) put_source(header, message.item->from);
  if (message.is_run())
    put_control(header, IPPROTO_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(message.segment));
}

void UdpOutbox::send_messages(UdpSocket& socket, UdpSent& sent) {
  for (std::size_t i = 0; i < message_count_; ++i) address(i);
  for (std::size_t at = 0; at < message_count_;) {
    const int count =
        ::sendmmsg(socket.fd.get(), &headers_[at], static_cast<unsigned>(message_count_ - at), kFlags);
    if (count > 0) {
      for (const std::size_t end = at + static_cast<std::size_t>(count); at < end; ++at) {
        sent.datagrams += messages_[at].datagrams();
        sent.bytes += messages_[at].bytes + messages_[at].item->head.size();
      }
      continue;
    }
    const int error = errno;
    if (error == EINTR) continue;
    const Message& message = messages_[at];
    if (message.is_run() && refuses_runs(error)) {
      if (error == EIO) {
        socket.largest_in_run = 0;
      } else if (message.item->is_connected) {  // other peers may have a better path
        socket.largest_in_run = std::min(socket.largest_in_run, message.segment - 1);
      }
      send_one_by_one(socket.fd.get(), at++, sent);
      continue;
    }
    sent.error = error;
    // The socket's buffer is full: so it is for the others. Anything else is about this one alone.
    const std::size_t end = error == EAGAIN ? message_count_ : at + 1;
    for (; at < end; ++at) sent.dropped += messages_[at].datagrams();
  }
  message_count_ = 0;
  vector_count_ = 0;
}

void UdpOutbox::send_one_by_one(int socket, std::size_t index, UdpSent& sent) {
  const Message& message = messages_[index];
  msghdr header = headers_[index].msg_hdr;
  header.msg_controllen -= CMSG_SPACE(sizeof(std::uint16_t));  // the run's, which is the last
  header.msg_iovlen = 1;
  for (std::size_t v = 0; v < message.vectors; ++v) {
    const iovec& whole = vectors_[message.first_vector + v];
    for (std::size_t at = 0; at < whole.iov_len; at += message.segment) {
      iovec one = {static_cast<std::uint8_t*>(whole.iov_base) + at,
                   std::min(message.segment, whole.iov_len - at)};
      header.msg_iov = &one;
      ssize_t count = 0;
      do {
        count = ::sendmsg(socket, &header, kFlags);
      } while (count < 0 && errno == EINTR);
      if (count >= 0) {
        ++sent.datagrams;
        sent.bytes += one.iov_len;
      } else {
        ++sent.dropped;
        sent.error = errno;
      }
    }
  }
}

}  // namespace culvert::net

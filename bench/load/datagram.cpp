// SPDX-License-Identifier: Apache-2.0
#include "load/datagram.hpp"

#include <arpa/inet.h>
#include <netinet/udp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace culvert::load {
namespace {

constexpr std::size_t kRoom = 65'536;  // for one receive
constexpr int kBuffer = 16 << 20;

template <typename Value>
void put(cmsghdr* header, int level, int type, const Value& value) {
  header->cmsg_level = level;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(header), &value, sizeof value);
}

template <typename Value>
Value value_of(cmsghdr* header) {
  Value value{};
  std::memcpy(&value, CMSG_DATA(header), sizeof value);
  return value;
}

void set(int fd, int level, int option, int value, const char* name) {
  if (setsockopt(fd, level, option, &value, sizeof value) != 0) die_errno(name);
}

}  // namespace

std::span<std::uint8_t> Datagrams::at(std::size_t i) const {
  const std::size_t begin = i * each;
  return bytes.subspan(begin, std::min(each, bytes.size() - begin));
}

DatagramSocket::DatagramSocket(const sockaddr_in& bind)
    : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
      buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(kBatch * kRoom)),
      names_(kBatch),
      parts_(kBatch),
      controls_(kBatch),
      headers_(kBatch) {
  if (!fd_.is_open()) die_errno("socket");
  set(get(), IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO");
  set(get(), IPPROTO_UDP, UDP_GRO, 1, "UDP_GRO");
  for (const int option : {SO_RCVBUFFORCE, SO_SNDBUFFORCE}) {  // as far as it goes without the right
    if (setsockopt(get(), SOL_SOCKET, option, &kBuffer, sizeof kBuffer) != 0)
      set(get(), SOL_SOCKET, option == SO_RCVBUFFORCE ? SO_RCVBUF : SO_SNDBUF, kBuffer, "SO_RCVBUF");
  }
  if (::bind(get(), reinterpret_cast<const sockaddr*>(&bind), sizeof bind) != 0) die_errno("bind");
}

std::span<const Datagrams> DatagramSocket::receive() {
  for (std::size_t i = 0; i < kBatch; ++i) {
    parts_[i] = {buffer_.get() + i * kRoom, kRoom};
    headers_[i].msg_hdr = {&names_[i],         sizeof names_[i],          &parts_[i], 1,
                           controls_[i].bytes, sizeof controls_[i].bytes, 0};
  }
  received_.clear();
  const int n = recvmmsg(get(), headers_.data(), kBatch, 0, nullptr);
  if (n < 0 && errno != EAGAIN && errno != EINTR) die_errno("recvmmsg");
  for (int i = 0; i < n; ++i) {
    const std::size_t size = headers_[i].msg_len;
    if (size == 0) continue;
    Datagrams it{.there = names_[i], .bytes = {buffer_.get() + i * kRoom, size}, .each = size};
    msghdr& header = headers_[i].msg_hdr;
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c)) {
      if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
        it.here = value_of<in_pktinfo>(c).ipi_addr;
      else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO)
        it.each = static_cast<std::size_t>(value_of<int>(c));
    }
    received_.push_back(it);
  }
  return received_;
}

void DatagramSocket::send(std::span<const Datagrams> batch) {
  while (!batch.empty()) {
    const std::size_t count = std::min(batch.size(), kBatch);
    for (std::size_t i = 0; i < count; ++i) {
      const Datagrams& it = batch[i];
      const bool several = it.bytes.size() > it.each;
      names_[i] = it.there;
      parts_[i] = {it.bytes.data(), it.bytes.size()};
      const std::size_t space =
          CMSG_SPACE(sizeof(in_pktinfo)) + (several ? CMSG_SPACE(sizeof(std::uint16_t)) : 0);
      msghdr& header = headers_[i].msg_hdr;
      header = {&names_[i], sizeof names_[i], &parts_[i], 1, controls_[i].bytes, space, 0};
      std::memset(controls_[i].bytes, 0, sizeof controls_[i].bytes);
      put(CMSG_FIRSTHDR(&header), IPPROTO_IP, IP_PKTINFO, in_pktinfo{0, it.here, {}});
      if (several)
        put(CMSG_NXTHDR(&header, CMSG_FIRSTHDR(&header)), IPPROTO_UDP, UDP_SEGMENT,
            static_cast<std::uint16_t>(it.each));
    }
    const int n = sendmmsg(get(), headers_.data(), static_cast<unsigned>(count), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN && errno != ENOBUFS) die_errno("sendmmsg");
    batch = batch.subspan(static_cast<std::size_t>(std::max(n, 1)));  // the first did not fit
  }
}

void DatagramSocket::wait(Clock::time_point deadline) const {
  pollfd wait{get(), POLLIN, 0};
  (void)::poll(&wait, 1, poll_timeout(deadline));
}

sockaddr_in ipv4(const Address& address) {
  if (address.storage.ss_family != AF_INET) die("UDP goes over IPv4 here");
  sockaddr_in in{};
  std::memcpy(&in, &address.storage, sizeof in);
  return in;
}

in_addr visitor(std::size_t number) {
  return {htonl(0x7f010001u + static_cast<std::uint32_t>(number))};  // 127.1.0.1 and on
}

}  // namespace culvert::load

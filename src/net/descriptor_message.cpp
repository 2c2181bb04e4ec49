// SPDX-License-Identifier: Apache-2.0
#include "net/descriptor_message.hpp"

#include <cerrno>
#include <cstring>

#include <sys/socket.h>

namespace culvert::net {
namespace {

/// More than anybody of ours sends, so that none that came is lost in a cut list.
constexpr std::size_t kDescriptorsMost = 8;

template <class Call>
Transferred result_of(Call&& call) {
  ssize_t count = 0;
  do {
    count = call();
  } while (count < 0 && errno == EINTR);
  if (count < 0) return {0, errno};
  return {static_cast<std::size_t>(count), 0};
}

}  // namespace

DescriptorMessage receive_with_descriptors(int socket, MutableBytes into, Waiting waiting) {
  DescriptorMessage out;
  iovec place = {into.data(), into.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kDescriptorsMost)] = {};
  msghdr header = {};
  header.msg_iov = &place;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  const int flags = MSG_CMSG_CLOEXEC | (waiting == Waiting::no ? MSG_DONTWAIT : 0);
  out.got = result_of([&] { return ::recvmsg(socket, &header, flags); });
  if (out.got.error != 0) return out;
  out.is_cut = (header.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    for (std::size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
      int descriptor = -1;
      std::memcpy(&descriptor, reinterpret_cast<const char*>(part) + at, sizeof descriptor);
      out.descriptors.emplace_back(descriptor);
    }
  }
  return out;
}

Transferred send_with_descriptor(int socket, ByteView bytes, int descriptor) {
  iovec place = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};  // sendmsg does not write there
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header = {};
  header.msg_iov = &place;
  header.msg_iovlen = 1;
  if (descriptor >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* part = CMSG_FIRSTHDR(&header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(part), &descriptor, sizeof descriptor);
  }
  return result_of([&] { return ::sendmsg(socket, &header, MSG_NOSIGNAL); });
}

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#include "net/message_channel.hpp"

#include <cerrno>

#include <sys/socket.h>

#include "base/assert.hpp"
#include "net/descriptor_message.hpp"

namespace culvert::net {

Result<std::pair<MessageChannel, MessageChannel>> MessageChannel::make_pair() {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return std::unexpected(io_error("", errno));
  return std::pair(MessageChannel(UniqueFd(ends[0])), MessageChannel(UniqueFd(ends[1])));
}

Result<void> MessageChannel::send(ByteView message, int descriptor) {
  CULVERT_ASSERT(!message.empty());  // nothing is the end
  const Transferred sent = send_with_descriptor(socket_.get(), message, descriptor);
  if (sent.error != 0) return std::unexpected(io_error("", sent.error));
  return {};
}

Result<MessageChannel::Message> MessageChannel::receive(std::size_t limit) {
  Message message{Bytes(limit), {}};
  DescriptorMessage came = receive_with_descriptors(socket_.get(), message.bytes, Waiting::yes);
  // An end that was closed with something of ours unread shows as a reset.
  if (came.got.error == ECONNRESET || (came.got.error == 0 && came.got.bytes == 0))
    return fail(Errc::closed, "the other end is gone");
  if (came.got.error != 0) return std::unexpected(io_error("", came.got.error));
  if (came.is_cut || came.descriptors.size() > 1) return fail(Errc::malformed, "the message is too large");
  message.bytes.resize(came.got.bytes);
  if (!came.descriptors.empty()) message.descriptor = std::move(came.descriptors.front());
  return message;
}

void MessageChannel::close() {
  if (socket_) ::shutdown(socket_.get(), SHUT_RDWR);
  socket_.reset();
}

}  // namespace culvert::net

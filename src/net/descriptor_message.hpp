// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "base/bytes.hpp"
#include "net/socket.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

/// What one recvmsg took: bytes, and the descriptors that came with them (SCM_RIGHTS), close-on-exec.
struct DescriptorMessage {
  Transferred got;
  std::vector<UniqueFd> descriptors;
  bool is_cut = false;  ///< more bytes of a message, or more descriptors, came than there was room for
};

enum class Waiting : bool { no, yes };

/// Receives from a Unix socket. `into` must not be empty. With Waiting::yes it blocks if the socket does.
[[nodiscard]] DescriptorMessage receive_with_descriptors(int socket, MutableBytes into, Waiting waiting);

/// Sends all of `bytes` as one message, with `descriptor` if it is not -1; the caller keeps it. Without
/// SIGPIPE.
[[nodiscard]] Transferred send_with_descriptor(int socket, ByteView bytes, int descriptor);

}  // namespace culvert::net

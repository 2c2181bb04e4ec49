// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/transport/identification.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "proto/ssh/wire/messages.hpp"

namespace culvert::ssh {
namespace {

constexpr std::size_t kMaxLine = 255;         // RFC 4253 section 4.2, CR LF included
constexpr std::size_t kMaxLineBefore = 8192;  // what OpenSSH bears, too
constexpr std::size_t kMaxBytesBefore = 65536;

std::unexpected<Error> not_ssh(std::string what) {
  return fail(Errc::protocol, std::move(what), static_cast<std::int64_t>(DisconnectReason::protocol_error));
}

}  // namespace

Result<IdentificationReader::Found> IdentificationReader::read(ByteView bytes) {
  std::size_t taken = 0;
  for (;;) {
    const ByteView rest = bytes.subspan(taken);
    const auto newline = std::find(rest.begin(), rest.end(), '\n');
    const auto length = static_cast<std::size_t>(newline - rest.begin());
    std::string_view line = as_text(rest.first(length));
    const bool is_version = line.starts_with("SSH-");
    const bool is_whole = newline != rest.end();
    if (!is_version && !lines_before_allowed_ && (length >= 4 || is_whole)) {
      return not_ssh(fmt::format("the client does not speak SSH (it sent \"{}\")", printable(line, 60)));
    }
    const std::size_t limit = is_version ? kMaxLine : kMaxLineBefore;
    if (length >= limit)
      return not_ssh(fmt::format("line of more than {} bytes before the key exchange", limit));
    if (!is_whole) return Found{taken, std::nullopt};
    if (line.find('\0') != std::string_view::npos) return not_ssh("NUL byte before the key exchange");

    taken += length + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (is_version) {
      if (!line.starts_with("SSH-2.0-") && !line.starts_with("SSH-1.99-")) {
        return not_ssh(
            fmt::format("the peer speaks another version of the protocol: \"{}\"", printable(line, 60)));
      }
      return Found{taken, std::string(line)};
    }
    bytes_before_ += length + 1;
    if (bytes_before_ > kMaxBytesBefore) {
      return not_ssh(
          fmt::format("no SSH identification within {} bytes; is this an SSH server?", kMaxBytesBefore));
    }
  }
}

}  // namespace culvert::ssh

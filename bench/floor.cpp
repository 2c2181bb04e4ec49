// SPDX-License-Identifier: Apache-2.0
// The least that a tunnel can cost: what it reads, it seals and writes, and the other way round. No protocol,
// no windows, no second stream in a connection, threads that wait in the kernel: what a real tunnel spends
// above this is its own.
#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/wire.hpp"
#include "crypto/algorithms.hpp"
#include "load/socket.hpp"

namespace {

using namespace culvert;
using load::Fd;

constexpr std::size_t kRead = std::size_t{1} << 20;
constexpr std::size_t kData = 32'768;  // of a packet, as SSH programs fill theirs
constexpr std::size_t kHead = 14;  // packet_length, padding_length, SSH_MSG_CHANNEL_DATA and its two numbers
constexpr std::size_t kMostBehind = 64;  // padding and tag
constexpr double kSeconds = 5;

enum class End : std::uint8_t { near, far };  // who listens has the plain side there, or the sealed one

void seal(int plain, int sealed, crypto::Sealer& sealer) {
  Bytes data(kRead);
  Bytes packets((kRead / kData + 1) * (kHead + kData + kMostBehind));
  const std::size_t block = std::max<std::size_t>(sealer.block_size(), 8);
  const std::size_t apart = sealer.length_is_apart() ? 4 : 0;
  std::uint32_t sequence = 0;
  for (ssize_t got = 0; (got = ::recv(plain, data.data(), data.size(), 0)) > 0;) {
    std::size_t filled = 0;
    for (ByteView rest = ByteView(data).first(static_cast<std::size_t>(got)); !rest.empty();) {
      const ByteView payload = rest.first(std::min(rest.size(), kData));
      rest = rest.subspan(payload.size());
      const std::size_t padding = block - (kHead + payload.size() - apart) % block;
      const std::size_t size = kHead + payload.size() + padding;
      std::array<std::uint8_t, kHead> head{};
      constexpr std::array<std::uint8_t, kMostBehind> kPadding{};
      store_u32(head.data(), static_cast<std::uint32_t>(size - 4));
      store_u32(head.data() + 10, static_cast<std::uint32_t>(payload.size()));
      const std::array<ByteView, 3> parts = {head, payload, ByteView(kPadding).first(padding)};
      const std::size_t whole = size + sealer.tag_size();
      sealer.seal(sequence++, parts, MutableBytes(packets).subspan(filled, whole));
      filled += whole;
    }
    if (!load::send_all(sealed, ByteView(packets).first(filled))) break;
  }
}

/// Of the sealed side.
struct Stream {
  crypto::Opener& opener;
  std::uint32_t sequence = 0;
  std::uint32_t length = 0;  // of the next packet; 0: not known yet

  /// Of the packet that `bytes` begin with, from its length to its tag; 0: not all of it is there.
  std::size_t whole(MutableBytes bytes) {
    if (length == 0 && bytes.size() < opener.head_size()) return 0;
    if (length == 0) length = opener.length(sequence, bytes.first(opener.head_size()));
    const std::size_t size = 4 + std::size_t{length} + opener.tag_size();
    return bytes.size() < size ? 0 : size;
  }
  void open(MutableBytes packet) {
    if (!opener.open(sequence++, packet)) std::exit(1);
    length = 0;
  }
};

/// Opens what is whole of `packets` and sends it on; how many bytes of them that were, nothing if it was not
/// taken.
std::optional<std::size_t> open_whole(MutableBytes packets, int plain, Stream& stream) {
  std::array<iovec, kRead / kData + 2> pieces{};
  std::size_t count = 0;
  std::size_t at = 0;
  while (count < pieces.size()) {
    const std::size_t whole = stream.whole(packets.subspan(at));
    if (whole == 0) break;
    stream.open(packets.subspan(at, whole));
    pieces[count++] = {packets.data() + at + kHead, load_u32(packets.data() + at + 10)};
    at += whole;
  }
  msghdr message = {};
  message.msg_iov = pieces.data();
  message.msg_iovlen = count;
  while (message.msg_iovlen > 0) {
    ssize_t sent = ::sendmsg(plain, &message, MSG_NOSIGNAL);
    if (sent <= 0) return std::nullopt;
    for (; message.msg_iovlen > 0; ++message.msg_iov, --message.msg_iovlen) {
      iovec& piece = *message.msg_iov;
      const auto part = std::min(static_cast<std::size_t>(sent), piece.iov_len);
      piece = {static_cast<std::uint8_t*>(piece.iov_base) + part, piece.iov_len - part};
      sent -= static_cast<ssize_t>(part);
      if (piece.iov_len > 0) break;
    }
  }
  return at;
}

void open(int sealed, int plain, crypto::Opener& opener) {
  Bytes packets(kRead + kHead + kData + kMostBehind);
  std::size_t held = 0;
  Stream stream{opener};
  for (ssize_t got = 0; (got = ::recv(sealed, packets.data() + held, kRead, 0)) > 0;) {
    held += static_cast<std::size_t>(got);
    std::size_t done = 0;
    for (;;) {
      const auto bytes = open_whole(MutableBytes(packets).subspan(done, held - done), plain, stream);
      if (!bytes) return;
      if (*bytes == 0) break;
      done += *bytes;
    }
    std::memmove(packets.data(), packets.data() + done, held - done);
    held -= done;
  }
}

void carry(End end, const crypto::CipherInfo& cipher, Fd accepted, Fd dialed) {
  const Bytes key(cipher.key_size, 1);
  const Bytes iv(cipher.iv_size, 2);
  const auto sealer = cipher.make_sealer(nullptr, key, iv, {});
  const auto opener = cipher.make_opener(nullptr, key, iv, {});
  const int plain = (end == End::near ? accepted : dialed).get();
  const int sealed = (end == End::near ? dialed : accepted).get();
  std::thread back([&] {
    open(sealed, plain, *opener);
    ::shutdown(plain, SHUT_WR);
  });
  seal(plain, sealed, *sealer);
  ::shutdown(sealed, SHUT_WR);
  back.join();
}

void serve(End end, const crypto::CipherInfo& cipher, Fd listener, load::Address target) {
  for (;;) {
    Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!accepted.is_open()) std::exit(1);
    Fd dialed = load::connect_to(target, kSeconds);
    load::set_no_delay(accepted.get());
    std::thread([=, &cipher, accepted = std::move(accepted), dialed = std::move(dialed)] mutable {
      carry(end, cipher, std::move(accepted), std::move(dialed));
    }).detach();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view end = argc > 1 ? argv[1] : "";
  const crypto::CipherInfo* const cipher = argc > 2 ? crypto::find_cipher(argv[2]) : nullptr;
  if ((end != "near" && end != "far") || cipher == nullptr || !cipher->is_aead || argc < 5 || argc % 2 == 0) {
    fmt::print(stderr, "usage: {} near|far AEAD LISTEN TARGET [LISTEN TARGET]...\n", argv[0]);
    return 2;
  }
  ::signal(SIGPIPE, SIG_IGN);
  std::vector<std::thread> threads;
  for (int i = 3; i + 1 < argc; i += 2) {
    Fd listener = load::listen_on(load::parse_address(argv[i]));
    ::fcntl(listener.get(), F_SETFL, ::fcntl(listener.get(), F_GETFL) & ~O_NONBLOCK);
    threads.emplace_back(serve, end == "near" ? End::near : End::far, std::cref(*cipher), std::move(listener),
                         load::parse_address(argv[i + 1]));
  }
  for (std::thread& thread : threads) thread.join();
}

// SPDX-License-Identifier: Apache-2.0
// How much of the cipher's own rate is left when two SSH sessions, joined in memory, move bulk data in one
// thread. Prints one line of JSON: MB/s through the machines, MB/s of sealing and opening alone, and the
// ratio of the two.
#include <fmt/core.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <string_view>
#include <variant>

#include "base/time.hpp"
#include "crypto/algorithms.hpp"
#include "crypto/private_key.hpp"
#include "crypto/random.hpp"
#include "proto/ssh/session.hpp"

namespace {

using namespace culvert;

constexpr std::string_view kCipher = "aes128-gcm@openssh.com";
constexpr std::size_t kPayload = 32u << 10;
constexpr std::size_t kOneWrite = 1u << 20;  ///< what a relay would have read from a fast socket
constexpr auto kMeasured = std::chrono::milliseconds(1000);
constexpr auto kWarmup = std::chrono::milliseconds(300);
constexpr auto kHandshake = std::chrono::seconds(10);

[[noreturn]] void die(std::string_view text) {
  fmt::print(stderr, "culvert-session-bench: {}\n", text);
  std::exit(1);
}

/// What this thread has computed so far: nothing here waits, and a busy machine does not change the figures.
Duration cpu_time() {
  timespec time{};
  if (::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) die("no clock for a thread's time");
  return std::chrono::seconds(time.tv_sec) +
         std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(time.tv_nsec));
}

double per_second(std::uint64_t bytes, Duration time) {
  return static_cast<double>(bytes) / static_cast<double>(time.count());
}

/// Seals and opens packets of one channel-data message each, in memory that stays in the cache.
double raw_rate() {
  const crypto::CipherInfo* cipher = crypto::find_cipher(kCipher);
  if (cipher == nullptr) die("no such cipher");
  const Bytes key(cipher->key_size, 0x11);
  const Bytes iv(cipher->iv_size, 0x22);
  const auto sealer = cipher->make_sealer(nullptr, key, iv, {});
  const auto opener = cipher->make_opener(nullptr, key, iv, {});
  constexpr std::size_t kPadding = 6;
  Bytes head = {0, 0, 0, 0, kPadding, 94,   0,
                0, 0, 0, 0, 0,        0x80, 0};  // lengths, CHANNEL_DATA, channel, length
  const std::size_t length = head.size() - 4 + kPayload + kPadding;
  for (int i = 0; i < 4; ++i)
    head[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(length >> (24 - 8 * i));
  const Bytes payload(kPayload, 0x5a);
  const Bytes padding(kPadding, 0);
  const ByteView parts[] = {head, payload, padding};
  Bytes wire(4 + length + sealer->tag_size());

  std::uint64_t bytes = 0;
  std::uint32_t sequence = 0;
  const Duration start = cpu_time();
  Duration now = start;
  while (now - start < kMeasured) {
    for (int i = 0; i < 64; ++i, ++sequence) {
      sealer->seal(sequence, parts, wire);
      if (opener->length(sequence, MutableBytes(wire).first(opener->head_size())) != length)
        die("wrong length");
      if (!opener->open(sequence, wire)) die("a packet does not open");
      bytes += kPayload;
    }
    now = cpu_time();
  }
  return per_second(bytes, now - start);
}

/// A client and a server; what one wants to send is copied into what the other lends, as a socket would.
class Pair {
 public:
  Pair()
      : host_key_(crypto::PrivateKey::generate_ed25519()),
        user_key_(crypto::PrivateKey::generate_ed25519()),
        client_(config(ssh::Role::client), random_, monotonic_now()),
        server_(config(ssh::Role::server), random_, monotonic_now()) {}

  void open_channel() {
    const Instant start = monotonic_now();
    while (!channel_) {
      turn();
      if (monotonic_now() - start > kHandshake) die("the handshake does not end");
    }
  }

  double rate(Duration time) {
    const Bytes data(kOneWrite, 0x5a);
    const std::uint64_t before = received_;
    const Duration start = cpu_time();
    Duration now = start;
    while (now - start < time) {
      std::size_t sent = 0;
      while (sent < data.size()) {
        const std::size_t n = client_.send(*channel_, ByteView(data).subspan(sent));
        if (n == 0) break;
        sent += n;
      }
      turn();
      now = cpu_time();
    }
    return per_second(received_ - before, now - start);
  }

 private:
  ssh::SessionConfig config(ssh::Role role) const {
    ssh::SessionConfig config;
    config.role = role;
    config.user = "bench";
    config.algorithms.ciphers = {std::string(kCipher)};
    config.host_keys = {host_key_.public_key()};
    return config;
  }

  void turn() {
    move(client_, server_);
    while (auto event = server_.next_event()) std::visit([this](auto& e) { at_server(e); }, *event);
    move(server_, client_);
    while (auto event = client_.next_event()) std::visit([this](auto& e) { at_client(e); }, *event);
  }

  static void move(ssh::Session& from, ssh::Session& to) {
    const std::size_t n = from.output().size();
    if (n == 0) return;
    const MutableBytes room = to.prepare(n);
    const ByteView output = from.output();
    std::memcpy(room.data(), output.data(), n);
    const Instant now = monotonic_now();
    to.commit(n, now);
    from.consume_output(n, now);
  }

  static Bytes sign(const crypto::PrivateKey& key, std::string_view algorithm, ByteView message) {
    auto signature = key.sign(algorithm, message);
    if (!signature) die(signature.error().message);
    return std::move(*signature);
  }

  void at_server(ssh::HostSignatureWanted& event) {
    server_.host_signature(sign(host_key_, event.algorithm, event.message));
  }
  void at_server(ssh::UserOffered&) { server_.accept_user(); }
  void at_server(ssh::ChannelRequested& event) { server_.accept_channel(event.id); }
  void at_server(ssh::ChannelData& event) {
    received_ += event.data.size();
    server_.consumed(event.id, event.data.size());
  }
  void at_server(ssh::Disconnected& event) { die(event.error.message); }
  void at_server(auto&) {}

  void at_client(ssh::HostKeyOffered&) { client_.accept_host_key(); }
  void at_client(ssh::AuthNext&) { client_.try_public_key(user_key_.public_key(), "ssh-ed25519", false); }
  void at_client(ssh::UserSignatureWanted& event) {
    client_.user_signature(sign(user_key_, event.algorithm, event.message));
  }
  void at_client(ssh::Authenticated&) {
    if (!client_.open_direct_tcpip("127.0.0.1", 9, "127.0.0.1", 1)) die("the channel cannot be opened");
  }
  void at_client(ssh::ChannelOpened& event) { channel_ = event.id; }
  void at_client(ssh::ChannelOpenFailed& event) { die(event.description); }
  void at_client(ssh::Disconnected& event) { die(event.error.message); }
  void at_client(auto&) {}

  crypto::SystemRandom random_;
  crypto::PrivateKey host_key_;
  crypto::PrivateKey user_key_;
  ssh::Session client_;
  ssh::Session server_;
  std::optional<ssh::ChannelId> channel_;
  std::uint64_t received_ = 0;
};

}  // namespace

int main() {
  Pair pair;
  pair.open_channel();
  static_cast<void>(pair.rate(kWarmup));
  const double raw_before = raw_rate();
  const double machines = pair.rate(kMeasured);
  const double raw = (raw_before + raw_rate()) / 2;
  fmt::print("{{\"machines\": {:.1f}, \"raw\": {:.1f}, \"ratio\": {:.4f}}}\n", machines, raw, machines / raw);
  return 0;
}

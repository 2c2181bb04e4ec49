// SPDX-License-Identifier: Apache-2.0
// What sealing and opening packets costs, cipher by cipher, with nothing around it: culvert-cipher-bench
// [packet bytes]
#include <fmt/format.h>
#include <time.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/wire.hpp"
#include "crypto/aes_gcm.hpp"
#include "crypto/algorithms.hpp"

namespace {

using namespace culvert;
using Nanoseconds = std::chrono::nanoseconds;

constexpr Nanoseconds kTimeForEach = std::chrono::milliseconds(300);
constexpr std::size_t kBatchBytes =
    256 * 1024;  // between two looks at the clock, which cost as much as a packet

/// Processor time of this thread, so that a busy machine spoils the figures less.
Nanoseconds now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + Nanoseconds(time.tv_nsec);
}

/// Packets of `size` bytes in the shape of channel data: headers, payload and padding are parts of their own.
void measure(const std::string& name, crypto::Sealer& sealer, crypto::Opener& opener, std::size_t size) {
  const std::size_t apart = sealer.length_is_apart() ? 4 : 0;
  size = (size - 32) / 16 * 16 + apart;
  Bytes head(14);
  store_u32(head.data(), static_cast<std::uint32_t>(size - 4));
  const Bytes padding(7);
  const Bytes payload(size - head.size() - padding.size(), 0x5a);
  const std::array<ByteView, 3> parts = {head, payload, padding};
  const auto batch = static_cast<std::uint32_t>(kBatchBytes / size + 1);
  std::vector<Bytes> packets(batch, Bytes(size + sealer.tag_size()));

  Nanoseconds sealing{};
  Nanoseconds opening{};
  std::uint64_t bytes = 0;
  std::uint32_t sequence = 0;
  while (sealing + opening < kTimeForEach) {
    const Nanoseconds start = now();
    for (std::uint32_t i = 0; i < batch; ++i) sealer.seal(sequence + i, parts, packets[i]);
    const Nanoseconds sealed = now();
    for (std::uint32_t i = 0; i < batch; ++i) {
      static_cast<void>(opener.length(sequence + i, MutableBytes(packets[i]).first(opener.head_size())));
      if (!opener.open(sequence + i, packets[i])) std::abort();
    }
    opening += now() - sealed;
    sealing += sealed - start;
    sequence += batch;
    bytes += batch * size;
  }
  const auto rate = [&](Nanoseconds time) {
    return static_cast<double>(bytes) * 1e3 / static_cast<double>(time.count());
  };
  fmt::print("{:58} {:8.0f} {:8.0f} {:8.0f}\n", name, rate(sealing), rate(opening), rate(sealing + opening));
}

void measure(const crypto::CipherInfo& cipher, const crypto::MacInfo* mac, std::size_t size) {
  const Bytes key(cipher.key_size, 1);
  const Bytes iv(cipher.iv_size, 2);
  const Bytes mac_key(mac != nullptr ? mac->key_size : 0, 3);
  std::string name(cipher.name);
  if (mac != nullptr) name += fmt::format(" {}", mac->name);
  measure(name, *cipher.make_sealer(mac, key, iv, mac_key), *cipher.make_opener(mac, key, iv, mac_key), size);
}

void measure_engines(std::size_t size) {
  const Bytes iv(12, 2);
  for (const auto [engine, name] : {std::pair{crypto::AesGcmEngine::openssl, "OpenSSL"},
                                    std::pair{crypto::AesGcmEngine::ipsec_mb, "intel-ipsec-mb"}}) {
    if (!crypto::is_available(engine)) continue;
    for (const std::size_t key_size : {16U, 32U}) {
      const Bytes key(key_size, 1);
      measure(fmt::format("AES-{}-GCM by {}", key_size * 8, name),
              *crypto::make_aes_gcm_sealer(engine, key, iv), *crypto::make_aes_gcm_opener(engine, key, iv),
              size);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t size = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 32'768;
  if (size < 64 || size > (1U << 20)) {
    fmt::print(stderr, "usage: {} [packet bytes, 64 to 1048576]\n", argv[0]);
    return 2;
  }
  fmt::print("packets of {} bytes; MB of a CPU second {:>28} {:>8} {:>8}\n", size, "seal", "open", "both");
  for (const auto& cipher : crypto::ciphers()) {
    if (cipher.is_aead) measure(cipher, nullptr, size);
    if (cipher.is_aead) continue;
    for (const auto& mac : crypto::macs()) measure(cipher, &mac, size);
  }
  measure_engines(size);
}

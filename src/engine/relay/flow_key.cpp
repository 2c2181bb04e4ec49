// SPDX-License-Identifier: Apache-2.0
#include "engine/relay/flow_key.hpp"

#include <cstring>
#include <random>

namespace culvert::relay {

namespace ip = boost::asio::ip;

namespace {

struct Words {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  std::uint64_t scope = 0;
};

Words words_of(const ip::address& address) {
  if (address.is_v4()) return {address.to_v4().to_uint(), 0, 0};
  const auto v6 = address.to_v6();
  const auto bytes = v6.to_bytes();
  Words words;
  std::memcpy(&words.first, bytes.data(), 8);
  std::memcpy(&words.second, bytes.data() + 8, 8);
  words.scope = v6.scope_id();
  return words;
}

// Both halves of a product: each bit of the result depends on many of both.
std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t random_word(std::random_device& source) {
  return static_cast<std::uint64_t>(source()) << 32 | source();
}

}  // namespace

// The scope is only set with link-local addresses: all of them fit in a word with the port and the listener.
FlowKey::FlowKey(const ip::udp::endpoint& client, const ip::address& local, std::uint16_t listener) {
  const Words from = words_of(client.address());
  const Words to = words_of(local);
  words = {
      from.first, from.second, from.scope << 32 | static_cast<std::uint64_t>(client.port()) << 16 | listener,
      to.first,   to.second,   to.scope};
}

FlowKeyHash::FlowKeyHash() : secret_{} {
  std::random_device source;
  secret_ = {random_word(source), random_word(source)};
}

std::size_t FlowKeyHash::operator()(const FlowKey& key) const {
  constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15;  // no product is zero because a word is
  std::uint64_t hash = secret_[0];
  for (std::size_t i = 0; i < key.words.size(); i += 2)
    hash = mix(key.words[i] ^ secret_[1] ^ kOdd * (i + 1), key.words[i + 1] ^ hash);
  return static_cast<std::size_t>(mix(hash ^ secret_[1], kOdd));
}

}  // namespace culvert::relay

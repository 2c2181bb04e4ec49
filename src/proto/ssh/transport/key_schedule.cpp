// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/transport/key_schedule.hpp"

#include <algorithm>

#include "base/wire.hpp"

namespace culvert::ssh {
namespace {

struct KeyMaterial {
  crypto::HashId hash;
  ByteView shared_secret, exchange_hash, session_id;

  // RFC 4253 section 7.2: HASH(K || H || letter || session_id), lengthened by HASH(K || H || all so far).
  [[nodiscard]] SecretBytes derive(char letter, std::size_t size) const {
    SecretBytes key(size);
    std::size_t filled = 0;
    while (filled < size) {
      crypto::Hasher hasher(hash);
      hasher.update(shared_secret).update(exchange_hash);
      if (filled == 0) {
        const auto mark = static_cast<std::uint8_t>(letter);
        hasher.update({&mark, 1}).update(session_id);
      } else {
        hasher.update(key.view().first(filled));
      }
      const SecretBytes block = hasher.finish();
      const std::size_t used = std::min(block.size(), size - filled);
      std::copy_n(block.data(), used, key.data() + filled);
      filled += used;
    }
    return key;
  }
};

}  // namespace

Bytes exchange_hash(crypto::HashId hash, const ExchangeTranscript& t) {
  Bytes front;
  Writer writer(front);
  writer.text(t.client_identification).text(t.server_identification);
  writer.string(t.client_kexinit).string(t.server_kexinit).string(t.host_key);
  if (t.values_are_mpints) {
    writer.mpint(t.client_value).mpint(t.server_value);
  } else {
    writer.string(t.client_value).string(t.server_value);
  }
  return copy_of(crypto::Hasher(hash).update(front).update(t.shared_secret).finish());
}

NewKeys derive_keys(Role role, const Agreement& agreed, ByteView shared_secret, ByteView hash,
                    ByteView session_id) {
  const KeyMaterial material{agreed.key_exchange->hash, shared_secret, hash, session_id};
  const bool is_client = role == Role::client;
  // Letters A, C, E are client to server; B, D, F the other way.
  const auto make = [&](const Agreement::Direction& direction, bool to_server, auto factory) {
    const SecretBytes iv = material.derive(to_server ? 'A' : 'B', direction.cipher->iv_size);
    const SecretBytes key = material.derive(to_server ? 'C' : 'D', direction.cipher->key_size);
    const SecretBytes mac =
        material.derive(to_server ? 'E' : 'F', direction.mac == nullptr ? 0 : direction.mac->key_size);
    return factory(direction.mac, key, iv, mac);
  };
  const auto& outbound = is_client ? agreed.to_server : agreed.to_client;
  const auto& inbound = is_client ? agreed.to_client : agreed.to_server;
  return NewKeys{make(outbound, is_client, outbound.cipher->make_sealer),
                 make(inbound, !is_client, inbound.cipher->make_opener)};
}

}  // namespace culvert::ssh

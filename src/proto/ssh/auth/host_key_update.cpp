// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/auth/host_key_update.hpp"

#include <algorithm>
#include <string>

#include "base/wire.hpp"
#include "crypto/key_algorithms.hpp"
#include "proto/ssh/mux/global_requests.hpp"

namespace culvert::ssh {

Bytes host_key_list(std::span<const crypto::PublicKey> keys) {
  Bytes list;
  for (const crypto::PublicKey& key : keys) Writer(list).string(key.blob());
  return list;
}

std::optional<HostKeyProofWanted> read_proof_request(ByteView data, std::span<const crypto::PublicKey> ours,
                                                     ByteView session_id, std::string_view agreed) {
  HostKeyProofWanted wanted;
  Reader reader(data);
  while (reader.remaining() > 0) {
    const auto blob = reader.string();
    if (!blob) return std::nullopt;
    const auto key = std::ranges::find_if(
        ours, [&](const crypto::PublicKey& k) { return std::ranges::equal(k.blob(), *blob); });
    if (key == ours.end() || std::ranges::find(wanted.keys, *key) != wanted.keys.end()) return std::nullopt;
    const std::string_view signature = crypto::signature_of(agreed);
    const bool agreed_fits = crypto::key_type_of(signature) == key->type();
    Bytes message;
    Writer(message).text(kHostKeysProve).string(session_id).string(*blob);
    wanted.keys.push_back(*key);
    wanted.algorithms.emplace_back(agreed_fits ? signature
                                               : crypto::signature_algorithms(key->type()).front());
    wanted.messages.push_back(std::move(message));
  }
  if (wanted.keys.empty()) return std::nullopt;
  return wanted;
}

}  // namespace culvert::ssh

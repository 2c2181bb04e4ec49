// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/transport/negotiation.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "base/text.hpp"
#include "crypto/key_algorithms.hpp"
#include "proto/ssh/transport/shown_key.hpp"
#include "proto/ssh/wire/name_list.hpp"

namespace culvert::ssh {
namespace {

constexpr std::string_view kStrictClient = "kex-strict-c-v00@openssh.com";
constexpr std::string_view kStrictServer = "kex-strict-s-v00@openssh.com";
constexpr std::string_view kExtInfoClient = "ext-info-c";
constexpr std::string_view kExtInfoServer = "ext-info-s";

template <class Rows>
std::string names_of(const Rows& rows) {
  std::string joined;
  for (const auto& row : rows) {
    if (!joined.empty()) joined += ',';
    if constexpr (requires { row.name; }) {
      joined += row.name;
    } else {
      joined += row;
    }
  }
  return joined;
}

// `wanted`, or everything in `rows` if it is empty.
template <class Rows>
std::string names_or_all(const std::vector<std::string>& wanted, const Rows& rows) {
  return wanted.empty() ? names_of(rows) : join_names(wanted);
}

// Only what a server's keys can sign.
std::string signatures_of(const std::string& names, std::span<const crypto::PublicKey> keys,
                          std::span<const crypto::Certificate> certificates) {
  std::vector<std::string> kept;
  for (const std::string_view name : split_names(names)) {
    if (find_host_identity(name, keys, certificates)) kept.emplace_back(name);
  }
  return join_names(kept);
}

Result<std::string_view> choose(std::string_view what, Role role, std::string_view ours,
                                std::string_view theirs) {
  const std::string_view name =
      role == Role::client ? first_common(ours, theirs) : first_common(theirs, ours);
  if (!name.empty()) return name;
  return fail(Errc::protocol,
              fmt::format("no {} in common; their offer: {}; ours: {}", what, printable(theirs, 600), ours),
              static_cast<std::int64_t>(DisconnectReason::key_exchange_failed));
}

// Both sides may name what nobody here has made: a list of ours comes from a person.
template <class Row>
Result<const Row*> known(const Row* row, std::string_view what, std::string_view name) {
  if (row != nullptr) return row;
  return fail(Errc::protocol, fmt::format("{} {} is not implemented", what, printable(name, 100)),
              static_cast<std::int64_t>(DisconnectReason::key_exchange_failed));
}

Result<Agreement::Direction> choose_direction(std::string_view way, Role role, std::string_view our_ciphers,
                                              std::string_view their_ciphers, std::string_view our_macs,
                                              std::string_view their_macs, std::string_view our_compressions,
                                              std::string_view their_compressions) {
  Agreement::Direction direction{};
  const auto cipher = TRY(choose(fmt::format("cipher ({})", way), role, our_ciphers, their_ciphers));
  direction.cipher = TRY(known(crypto::find_cipher(cipher), "cipher", cipher));
  if (!direction.cipher->is_aead) {
    const auto mac = TRY(choose(fmt::format("MAC ({})", way), role, our_macs, their_macs));
    direction.mac = TRY(known(crypto::find_mac(mac), "MAC", mac));
  }
  TRY(choose(fmt::format("compression ({})", way), role, our_compressions, their_compressions));
  return direction;
}

}  // namespace

Bytes make_kexinit(Role role, const AlgorithmLists& lists, std::span<const crypto::PublicKey> host_keys,
                   std::span<const crypto::Certificate> host_certificates, bool first,
                   crypto::Random& random) {
  std::string key_exchanges = names_or_all(lists.key_exchanges, crypto::key_exchanges());
  if (first) {
    key_exchanges += fmt::format(",{},{}", role == Role::client ? kExtInfoClient : kExtInfoServer,
                                 role == Role::client ? kStrictClient : kStrictServer);
  }
  const std::string signatures =
      role == Role::client ? names_or_all(lists.host_keys, crypto::signatures())
                           : signatures_of(names_or_all(lists.host_keys, crypto::host_key_algorithms()),
                                           host_keys, host_certificates);
  const std::string ciphers = names_or_all(lists.ciphers, crypto::ciphers());
  const std::string macs = names_or_all(lists.macs, crypto::macs());

  KexInitMessage message{};
  random.fill(message.cookie);
  message.key_exchanges.text = key_exchanges;
  message.host_keys.text = signatures;
  message.ciphers_to_server.text = message.ciphers_to_client.text = ciphers;
  message.macs_to_server.text = message.macs_to_client.text = macs;
  message.compressions_to_server.text = message.compressions_to_client.text = "none";
  return encoded(message);
}

Result<Agreement> negotiate(Role role, ByteView our_payload, ByteView their_payload) {
  const auto ours = TRY(decode<KexInitMessage>(our_payload));
  const auto theirs = TRY(decode<KexInitMessage>(their_payload));
  Agreement agreed{};
  const auto key_exchange =
      TRY(choose("key exchange method", role, ours.key_exchanges.text, theirs.key_exchanges.text));
  agreed.key_exchange = crypto::find_key_exchange(key_exchange);
  if (agreed.key_exchange == nullptr) {  // both sides only share a marker such as ext-info
    return fail(Errc::protocol,
                fmt::format("no key exchange method in common; their offer: {}",
                            printable(theirs.key_exchanges.text, 600)),
                static_cast<std::int64_t>(DisconnectReason::key_exchange_failed));
  }
  agreed.host_key = TRY(choose("host key algorithm", role, ours.host_keys.text, theirs.host_keys.text));
  agreed.to_server = TRY(choose_direction("client to server", role, ours.ciphers_to_server.text,
                                          theirs.ciphers_to_server.text, ours.macs_to_server.text,
                                          theirs.macs_to_server.text, ours.compressions_to_server.text,
                                          theirs.compressions_to_server.text));
  agreed.to_client = TRY(choose_direction("server to client", role, ours.ciphers_to_client.text,
                                          theirs.ciphers_to_client.text, ours.macs_to_client.text,
                                          theirs.macs_to_client.text, ours.compressions_to_client.text,
                                          theirs.compressions_to_client.text));
  // RFC 4253 section 7.1: a guess is right if both first methods are the same on both sides.
  const auto first_name = [](std::string_view list) { return list.substr(0, list.find(',')); };
  agreed.skip_guess = theirs.first_packet_follows &&
                      (first_name(ours.key_exchanges.text) != first_name(theirs.key_exchanges.text) ||
                       first_name(ours.host_keys.text) != first_name(theirs.host_keys.text));
  return agreed;
}

bool asks_for_strict(Role role, const KexInitMessage& theirs) {
  return contains_name(theirs.key_exchanges.text, role == Role::client ? kStrictServer : kStrictClient);
}

bool asks_for_ext_info(Role role, const KexInitMessage& theirs) {
  return contains_name(theirs.key_exchanges.text, role == Role::client ? kExtInfoServer : kExtInfoClient);
}

}  // namespace culvert::ssh

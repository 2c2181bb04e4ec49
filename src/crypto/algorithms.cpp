// SPDX-License-Identifier: Apache-2.0
#include "crypto/algorithms.hpp"

#include <algorithm>
#include <array>

#include "crypto/aes_ctr.hpp"
#include "crypto/aes_gcm.hpp"
#include "crypto/chacha20_poly1305.hpp"
#include "crypto/cpu.hpp"
#include "crypto/key_exchanges.hpp"

namespace culvert::crypto {
namespace {

std::unique_ptr<Sealer> gcm_sealer(const MacInfo* /*mac*/, ByteView key, ByteView iv, ByteView /*mac_key*/) {
  return make_aes_gcm_sealer(fastest_aes_gcm_engine(), key, iv);
}
std::unique_ptr<Opener> gcm_opener(const MacInfo* /*mac*/, ByteView key, ByteView iv, ByteView /*mac_key*/) {
  return make_aes_gcm_opener(fastest_aes_gcm_engine(), key, iv);
}
std::unique_ptr<Sealer> chacha_sealer(const MacInfo* /*mac*/, ByteView key, ByteView /*iv*/,
                                      ByteView /*mac_key*/) {
  return make_chacha20_poly1305_sealer(key);
}
std::unique_ptr<Opener> chacha_opener(const MacInfo* /*mac*/, ByteView key, ByteView /*iv*/,
                                      ByteView /*mac_key*/) {
  return make_chacha20_poly1305_opener(key);
}

constexpr CipherInfo kAes128Gcm = {"aes128-gcm@openssh.com", 16, 12, 16, true, gcm_sealer, gcm_opener};
constexpr CipherInfo kAes256Gcm = {"aes256-gcm@openssh.com", 32, 12, 16, true, gcm_sealer, gcm_opener};
constexpr CipherInfo kChaCha = {
    "chacha20-poly1305@openssh.com", 64, 0, 8, true, chacha_sealer, chacha_opener};
constexpr CipherInfo kAes128Ctr = {"aes128-ctr", 16, 16, 16, false, make_aes_ctr_sealer, make_aes_ctr_opener};
constexpr CipherInfo kAes192Ctr = {"aes192-ctr", 24, 16, 16, false, make_aes_ctr_sealer, make_aes_ctr_opener};
constexpr CipherInfo kAes256Ctr = {"aes256-ctr", 32, 16, 16, false, make_aes_ctr_sealer, make_aes_ctr_opener};

constexpr std::array kCiphersWithAes = {kAes128Gcm, kAes256Gcm, kChaCha, kAes128Ctr, kAes192Ctr, kAes256Ctr};
constexpr std::array kCiphersWithoutAes = {kChaCha,    kAes128Gcm, kAes256Gcm,
                                           kAes128Ctr, kAes192Ctr, kAes256Ctr};

constexpr std::array<MacInfo, 4> kMacs = {{
    {"hmac-sha2-256-etm@openssh.com", HashId::sha256, 32, 32, true},
    {"hmac-sha2-512-etm@openssh.com", HashId::sha512, 64, 64, true},
    {"hmac-sha2-256", HashId::sha256, 32, 32, false},
    {"hmac-sha2-512", HashId::sha512, 64, 64, false},
}};

constexpr std::array<KexInfo, 8> kKeyExchanges = {{
    {"mlkem768x25519-sha256", HashId::sha256, make_mlkem768x25519},
    {"curve25519-sha256", HashId::sha256, make_curve25519},
    {"curve25519-sha256@libssh.org", HashId::sha256, make_curve25519},
    {"ecdh-sha2-nistp256", HashId::sha256, [] { return make_ecdh(EcdhCurve::nistp256); }},
    {"ecdh-sha2-nistp384", HashId::sha384, [] { return make_ecdh(EcdhCurve::nistp384); }},
    {"ecdh-sha2-nistp521", HashId::sha512, [] { return make_ecdh(EcdhCurve::nistp521); }},
    {"diffie-hellman-group16-sha512", HashId::sha512, [] { return make_dh(DhGroup::group16); }},
    {"diffie-hellman-group14-sha256", HashId::sha256, [] { return make_dh(DhGroup::group14); }},
}};

constexpr std::array<std::string_view, 6> kSignatures = {
    "ssh-ed25519",         "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521", "rsa-sha2-512",        "rsa-sha2-256",
};

template <class Row>
const Row* find(std::span<const Row> rows, std::string_view name) {
  const auto found = std::ranges::find(rows, name, &Row::name);
  return found == rows.end() ? nullptr : &*found;
}

}  // namespace

std::span<const CipherInfo> ciphers() {
  static const bool with_aes = cpu_has_aes();
  return with_aes ? kCiphersWithAes : kCiphersWithoutAes;
}

std::span<const MacInfo> macs() { return kMacs; }
std::span<const KexInfo> key_exchanges() { return kKeyExchanges; }
std::span<const std::string_view> signatures() { return kSignatures; }

const CipherInfo* find_cipher(std::string_view name) { return find(ciphers(), name); }
const MacInfo* find_mac(std::string_view name) { return find(macs(), name); }
const KexInfo* find_key_exchange(std::string_view name) { return find(key_exchanges(), name); }

}  // namespace culvert::crypto

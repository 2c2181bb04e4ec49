// SPDX-License-Identifier: Apache-2.0
#include "crypto/algorithms.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/cpu.hpp"

namespace culvert::crypto {
namespace {

template <class Row>
std::vector<std::string_view> names(std::span<const Row> rows) {
  std::vector<std::string_view> all;
  for (const Row& row : rows) all.push_back(row.name);
  return all;
}

using Names = std::vector<std::string_view>;

TEST(Algorithms, CiphersByWhatIsFastOnThisCpu) {
  Names expected = {"aes128-gcm@openssh.com",
                    "aes256-gcm@openssh.com",
                    "chacha20-poly1305@openssh.com",
                    "aes128-ctr",
                    "aes192-ctr",
                    "aes256-ctr"};
  if (!cpu_has_aes()) std::rotate(expected.begin(), expected.begin() + 2, expected.begin() + 3);
  EXPECT_EQ(names(ciphers()), expected);
}

TEST(Algorithms, Macs) {
  EXPECT_EQ(names(macs()), (Names{"hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com",
                                  "hmac-sha2-256", "hmac-sha2-512"}));
  for (const MacInfo& mac : macs()) {
    EXPECT_EQ(mac.key_size, hash_size(mac.hash));
    EXPECT_EQ(mac.tag_size, hash_size(mac.hash));
    EXPECT_EQ(mac.encrypt_then_mac, mac.name.ends_with("-etm@openssh.com"));
  }
}

TEST(Algorithms, KeyExchanges) {
  EXPECT_EQ(names(key_exchanges()),
            (Names{"mlkem768x25519-sha256", "curve25519-sha256", "curve25519-sha256@libssh.org",
                   "ecdh-sha2-nistp256", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521",
                   "diffie-hellman-group16-sha512", "diffie-hellman-group14-sha256"}));
}

TEST(Algorithms, RowsAreFoundByName) {
  for (const CipherInfo& row : ciphers()) EXPECT_EQ(find_cipher(row.name), &row);
  for (const MacInfo& row : macs()) EXPECT_EQ(find_mac(row.name), &row);
  for (const KexInfo& row : key_exchanges()) EXPECT_EQ(find_key_exchange(row.name), &row);
  EXPECT_EQ(find_cipher("none"), nullptr);
  EXPECT_EQ(find_mac(""), nullptr);
  EXPECT_EQ(find_key_exchange("diffie-hellman-group1-sha1"), nullptr);
}

}  // namespace
}  // namespace culvert::crypto

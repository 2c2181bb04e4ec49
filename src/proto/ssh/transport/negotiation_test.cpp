// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/transport/negotiation.hpp"

#include <gtest/gtest.h>

#include "proto/ssh/wire/name_list.hpp"
#include "tests/support/seeded_random.hpp"
#include "tests/support/test_keys.hpp"

namespace culvert::ssh {
namespace {

struct Offer {
  std::string kex = "curve25519-sha256", host = "ssh-ed25519", ciphers = "aes128-ctr", macs = "hmac-sha2-256",
              compressions = "none";
  bool follows = false;

  [[nodiscard]] Bytes payload() const {
    KexInitMessage m{};
    m.key_exchanges.text = kex;
    m.host_keys.text = host;
    m.ciphers_to_server.text = m.ciphers_to_client.text = ciphers;
    m.macs_to_server.text = m.macs_to_client.text = macs;
    m.compressions_to_server.text = m.compressions_to_client.text = compressions;
    m.first_packet_follows = follows;
    return encoded(m);
  }
};

Result<Agreement> client_and_server(const Offer& client, const Offer& server, Role us = Role::client) {
  return us == Role::client ? negotiate(us, client.payload(), server.payload())
                            : negotiate(us, server.payload(), client.payload());
}

TEST(Negotiation, TheClientsOrderDecidesOnBothSides) {
  const Offer client{.kex = "ecdh-sha2-nistp256,curve25519-sha256",
                     .host = "rsa-sha2-512,ssh-ed25519",
                     .ciphers = "aes256-ctr,aes128-ctr",
                     .macs = "hmac-sha2-512,hmac-sha2-256"};
  const Offer server{.kex = "curve25519-sha256,ecdh-sha2-nistp256",
                     .host = "ssh-ed25519,rsa-sha2-512",
                     .ciphers = "aes128-ctr,aes256-ctr",
                     .macs = "hmac-sha2-256,hmac-sha2-512"};
  for (const Role us : {Role::client, Role::server}) {
    const auto agreed = client_and_server(client, server, us);
    ASSERT_TRUE(agreed) << agreed.error().message;
    EXPECT_EQ(agreed->key_exchange->name, "ecdh-sha2-nistp256");
    EXPECT_EQ(agreed->host_key, "rsa-sha2-512");
    EXPECT_EQ(agreed->to_server.cipher->name, "aes256-ctr");
    EXPECT_EQ(agreed->to_client.mac->name, "hmac-sha2-512");
  }
}

TEST(Negotiation, DirectionsAreIndependent) {
  KexInitMessage server{};
  const Bytes base = Offer{}.payload();
  server = *decode<KexInitMessage>(base);
  server.ciphers_to_client.text = "aes128-gcm@openssh.com";
  Offer client;
  client.ciphers = "aes128-gcm@openssh.com,aes128-ctr";
  const auto agreed = negotiate(Role::client, client.payload(), encoded(server));
  ASSERT_TRUE(agreed);
  EXPECT_EQ(agreed->to_server.cipher->name, "aes128-ctr");
  EXPECT_EQ(agreed->to_client.cipher->name, "aes128-gcm@openssh.com");
  EXPECT_NE(agreed->to_server.mac, nullptr);
  EXPECT_EQ(agreed->to_client.mac, nullptr);
}

TEST(Negotiation, AnAeadCipherNeedsNoMacInCommon) {
  Offer client{.ciphers = "aes256-gcm@openssh.com", .macs = "hmac-sha2-256"};
  Offer server{.ciphers = "aes256-gcm@openssh.com", .macs = "umac-64@openssh.com"};
  EXPECT_TRUE(client_and_server(client, server));
  client.ciphers = server.ciphers = "aes128-ctr";
  const auto failed = client_and_server(client, server);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find(
                "no MAC (client to server) in common; their offer: umac-64@openssh.com; ours: "
                "hmac-sha2-256"),
            std::string::npos)
      << failed.error().message;
  EXPECT_EQ(failed.error().detail, 3);  // SSH_DISCONNECT_KEY_EXCHANGE_FAILED
}

TEST(Negotiation, TheirTextIsShownHarmlesslyAndShortened) {
  Offer server;
  server.kex = "evil\x1b[2J" + std::string(5000, 'x');
  const auto failed = client_and_server({}, server);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("evil\\x1b[2J"), std::string::npos);
  EXPECT_LT(failed.error().message.size(), 1500u);
}

// A list of ours comes from a person, who may name what we do not have.
TEST(Negotiation, WhatBothNameAndNobodyKnows) {
  for (const Offer& offer :
       {Offer{.kex = "sntrup761x25519-sha512"}, Offer{.ciphers = "3des-cbc"}, Offer{.macs = "hmac-md5"}}) {
    const auto failed = client_and_server(offer, offer);
    ASSERT_FALSE(failed);
    EXPECT_TRUE(failed.error().code == Errc::protocol);
  }
}

TEST(Negotiation, Guesses) {
  const auto skips = [](Offer client, const Offer& server) {
    client.follows = true;
    const auto agreed = client_and_server(client, server, Role::server);
    EXPECT_TRUE(agreed);
    return agreed && agreed->skip_guess;
  };
  const std::string both = "curve25519-sha256,ecdh-sha2-nistp256",
                    other = "ecdh-sha2-nistp256,curve25519-sha256";
  EXPECT_FALSE(skips({.kex = both}, {.kex = both}));
  EXPECT_TRUE(skips({.kex = both}, {.kex = other}));
  EXPECT_TRUE(skips({.host = "ssh-ed25519,rsa-sha2-512"}, {.host = "rsa-sha2-512,ssh-ed25519"}));
  const auto silent = client_and_server({.kex = both}, {.kex = other}, Role::server);
  ASSERT_TRUE(silent);
  EXPECT_FALSE(silent->skip_guess);  // nothing follows
}

TEST(Negotiation, MalformedOffersAreRefused) {
  const Bytes good = Offer{}.payload();
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(negotiate(Role::client, good, ByteView(good).first(size)));
  Offer empty{.kex = "", .host = "", .ciphers = "", .macs = "", .compressions = ""};
  EXPECT_FALSE(client_and_server({}, empty));
  EXPECT_FALSE(client_and_server(empty, empty));
}

TEST(Negotiation, OurOffer) {
  test::SeededRandom random(1);
  const std::vector<crypto::PublicKey> keys = {test::host_key().public_key()};
  const auto offer = [&](Role role, const AlgorithmLists& lists, bool first) {
    return make_kexinit(role, lists, keys, {}, first, random);
  };
  const Bytes client = offer(Role::client, {}, true);
  const auto m = *decode<KexInitMessage>(client);
  EXPECT_TRUE(asks_for_strict(Role::server, m));
  EXPECT_TRUE(asks_for_ext_info(Role::server, m));
  EXPECT_FALSE(asks_for_strict(Role::client, m));  // the markers differ per role
  EXPECT_FALSE(asks_for_ext_info(Role::client, m));
  EXPECT_EQ(split_names(m.host_keys.text).size(), crypto::signatures().size());
  EXPECT_EQ(m.compressions_to_client.text, "none");
  EXPECT_FALSE(m.first_packet_follows);

  const Bytes server = offer(Role::server, {}, true);
  const auto s = *decode<KexInitMessage>(server);
  EXPECT_TRUE(asks_for_strict(Role::client, s));
  EXPECT_EQ(s.host_keys.text, "ssh-ed25519");  // what its keys can sign, no more

  const Bytes again = offer(Role::client, {}, false);
  EXPECT_FALSE(asks_for_strict(Role::server, *decode<KexInitMessage>(again)));

  AlgorithmLists lists;
  lists.ciphers = {"aes256-ctr"};
  const Bytes narrow = offer(Role::client, lists, true);
  EXPECT_EQ(decode<KexInitMessage>(narrow)->ciphers_to_server.text, "aes256-ctr");
  EXPECT_NE(copy_of(ByteView(client).subspan(1, 16)), copy_of(ByteView(narrow).subspan(1, 16)));  // cookies
}

}  // namespace
}  // namespace culvert::ssh

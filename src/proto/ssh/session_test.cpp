// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/session.hpp"

#include <gtest/gtest.h>

#include "crypto/algorithms.hpp"
#include "tests/support/session_pair.hpp"

namespace culvert::ssh {
namespace {

using test::SessionPair;

Bytes pattern(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(i * 7 + (i >> 8));
  return bytes;
}

// Sends all of `data` from the client as credit and the queue allow.
void send_all(SessionPair& pair, ChannelId id, const Bytes& data) {
  std::size_t sent = 0;
  for (int turns = 0; turns < 100000 && sent < data.size() && !pair.client.session.is_closed(); ++turns) {
    sent += pair.client.session.send(id, ByteView(data).subspan(sent));
    pair.run();
  }
}

TEST(Session, LogsInAndCarriesAChannel) {
  SessionPair pair;
  const auto joined = pair.join();
  ASSERT_TRUE(joined) << (pair.client.ended ? pair.client.ended->message : "")
                      << (pair.server.ended ? pair.server.ended->message : "");
  const Bytes data = pattern(5 << 20);
  send_all(pair, joined->client, data);
  EXPECT_EQ(pair.server.data(joined->server), data);

  pair.client.session.send_eof(joined->client);
  pair.run();
  EXPECT_EQ(pair.server.log.back(), "ChannelEnded");
  const Bytes answer = pattern(1000);
  EXPECT_EQ(pair.server.session.send(joined->server, answer),
            answer.size());  // half-closed: the other way goes on
  pair.run();
  EXPECT_EQ(pair.client.data(joined->client), answer);
  pair.server.session.close(joined->server);
  pair.run();
  EXPECT_EQ(pair.client.closed.size(), 1u);
  EXPECT_EQ(pair.server.closed.size(), 1u);
  EXPECT_EQ(pair.client.session.channel_count(), 0u);
}

TEST(Session, EveryAlgorithmWorks) {
  const auto check = [](AlgorithmLists lists) {
    SessionPair::Options options;
    options.client.algorithms = lists;
    SessionPair pair(std::move(options));
    const auto joined = pair.join();
    ASSERT_TRUE(joined);
    const Bytes data = pattern(200000);
    send_all(pair, joined->client, data);
    EXPECT_EQ(pair.server.data(joined->server), data);
    pair.client.session.request_rekey();
    pair.run();
    pair.server.session.request_rekey();
    pair.run();
    send_all(pair, joined->client, data);
    EXPECT_EQ(pair.server.data(joined->server).size(), 2 * data.size());
    EXPECT_EQ(std::count(pair.client.log.begin(), pair.client.log.end(), "KeysAgreed"), 3);
  };
  for (const auto& kex : crypto::key_exchanges()) {
    SCOPED_TRACE(kex.name);
    check({.key_exchanges = {std::string(kex.name)}, .host_keys = {}, .ciphers = {}, .macs = {}});
  }
  for (const auto& cipher : crypto::ciphers()) {
    for (const auto& mac : crypto::macs()) {
      SCOPED_TRACE(std::string(cipher.name) + " " + std::string(mac.name));
      check({.key_exchanges = {"curve25519-sha256"},
             .host_keys = {},
             .ciphers = {std::string(cipher.name)},
             .macs = {std::string(mac.name)}});
    }
  }
}

TEST(Session, BytesMayComeOneAtATime) {
  SessionPair::Options options;
  options.piece = 1;
  SessionPair pair(std::move(options));
  const auto joined = pair.join();
  ASSERT_TRUE(joined);
  const Bytes data = pattern(3000);
  send_all(pair, joined->client, data);
  EXPECT_EQ(pair.server.data(joined->server), data);
}

}  // namespace
}  // namespace culvert::ssh

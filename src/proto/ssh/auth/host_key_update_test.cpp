// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/auth/host_key_update.hpp"

#include <gtest/gtest.h>

#include "tests/support/conversation.hpp"

namespace culvert::ssh {
namespace {

using test::Conversation;
using test::run_everywhere;

const crypto::PublicKey& first() { return test::host_key().public_key(); }
const crypto::PublicKey& second() { return test::user_key().public_key(); }

crypto::PublicKey third() {  // nobody has its private half
  Bytes blob;
  Writer(blob).text("ssh-rsa").mpint(Bytes{1, 0, 1}).mpint(Bytes(256, 0xFF));
  return crypto::PublicKey::parse(blob).value();
}

Bytes blobs(std::initializer_list<crypto::PublicKey> keys) { return host_key_list(std::vector(keys)); }

TEST(HostKeyUpdate, WhatIsSigned) {
  const std::vector<crypto::PublicKey> ours = {first(), second(), third()};
  const auto wanted = read_proof_request(blobs({second(), ours[2]}), ours, as_bytes("id"), "ssh-ed25519");
  ASSERT_TRUE(wanted);
  EXPECT_EQ(wanted->keys, (std::vector{second(), ours[2]}));
  EXPECT_EQ(wanted->algorithms, (std::vector<std::string>{"ssh-ed25519", "rsa-sha2-512"}));
  ASSERT_EQ(wanted->messages.size(), 2u);
  Bytes message;
  Writer(message).text("hostkeys-prove-00@openssh.com").text("id").string(second().blob());
  EXPECT_EQ(wanted->messages[0], message);
  for (const std::string_view agreed : {"rsa-sha2-256", "rsa-sha2-256-cert-v01@openssh.com"}) {
    const auto by_rsa = read_proof_request(blobs({second(), ours[2]}), ours, as_bytes("id"), agreed);
    ASSERT_TRUE(by_rsa);
    EXPECT_EQ(by_rsa->algorithms, (std::vector<std::string>{"ssh-ed25519", "rsa-sha2-256"}));
  }
}

TEST(HostKeyUpdate, WhatIsRefused) {
  const std::vector<crypto::PublicKey> ours = {first()};
  const Bytes good = blobs({first()});
  EXPECT_TRUE(read_proof_request(good, ours, as_bytes("id"), "ssh-ed25519"));
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(read_proof_request(ByteView(good).first(size), ours, as_bytes("id"), "ssh-ed25519"));
  for (const Bytes& bad : {blobs({second()}), blobs({first(), second()}), blobs({first(), first()})})
    EXPECT_FALSE(read_proof_request(bad, ours, as_bytes("id"), "ssh-ed25519"));
}

// ---- in a conversation

void ask_for_proof(Conversation& c, const Bytes& keys, bool want_reply = true) {
  c.send(GlobalRequestMessage{"hostkeys-prove-00@openssh.com", want_reply, Rest{keys}});
}
void prove(Conversation& c, std::vector<Bytes> signatures) {
  c.command([=](Session& s) { s.host_key_proof(signatures); });
}

TEST(HostKeyUpdate, KeysAreToldAndProved) {
  Conversation::Options options;
  options.machine.host_keys = {first(), second()};
  run_everywhere(
      Role::server,
      [](Conversation& c) {
        c.start_authentication();
        c.command([](Session& s) { s.announce_host_keys(); });  // too early
        c.expect_silence();
        c.as_peer([&](test::ScriptedPeer& p) { p.send_raw(c.signed_request()); });
        c.expect_event<UserOffered>();
        c.command([](Session& s) {
          s.accept_user();
          s.announce_host_keys();
        });
        c.expect_event<Authenticated>();
        c.expect_message<UserauthSuccessMessage>();
        c.expect_message<GlobalRequestMessage>([](const GlobalRequestMessage& m) {
          EXPECT_EQ(m.name, "hostkeys-00@openssh.com");
          EXPECT_FALSE(m.want_reply);
          EXPECT_TRUE(std::ranges::equal(m.data.bytes, blobs({first(), second()})));
        });
        ask_for_proof(c, blobs({second()}));
        c.expect_event<HostKeyProofWanted>([](HostKeyProofWanted& e) {
          EXPECT_EQ(e.keys, std::vector{second()});
          EXPECT_EQ(e.messages.size(), 1u);
          EXPECT_EQ(e.algorithms, std::vector<std::string>{"ssh-ed25519"});
        });
        c.expect_silence();
        prove(c, {copy_of(as_bytes("signature"))});
        c.expect_message<RequestSuccessMessage>([](const RequestSuccessMessage& m) {
          EXPECT_EQ(as_text(m.data.bytes), std::string_view("\0\0\0\x09signature", 13));
        });
        c.expect_silence();
      },
      options);
}

TEST(HostKeyUpdate, ProofsThatFail) {
  Conversation::Options options;
  options.machine.host_keys = {first(), second()};
  run_everywhere(
      Role::server,
      [](Conversation& c) {
        c.connect();
        const Bytes signature = copy_of(as_bytes("s"));
        for (const std::vector<Bytes>& signatures :
             {std::vector<Bytes>{}, {signature}, {signature, {}}, {signature, signature, signature}}) {
          ask_for_proof(c, blobs({first(), second()}));
          c.expect_event<HostKeyProofWanted>();
          prove(c, signatures);
          c.expect_message<RequestFailureMessage>();
        }
        prove(c, {signature, signature});  // nobody asked
        c.expect_silence();
        for (const Bytes& keys : {Bytes{}, blobs({test::stranger_key().public_key()})}) {
          ask_for_proof(c, keys);
          c.expect_message<RequestFailureMessage>();
          c.expect_silence();
        }
        ask_for_proof(c, blobs({first()}), false);
        c.expect_silence();
      },
      options);
}

// The signature of a slow key holds up what comes behind it, and no second one is begun meanwhile.
TEST(HostKeyUpdate, OneProofAtATime) {
  run_everywhere(Role::server, [](Conversation& c) {
    c.connect();
    ask_for_proof(c, blobs({first()}));
    c.expect_event<HostKeyProofWanted>();
    ask_for_proof(c, blobs({first()}));
    c.send(GlobalRequestMessage{"other", true, Rest{}});
    c.expect_event<GlobalRequested>();
    c.command([](Session& s) { s.reply_global(true, {}); });
    c.expect_silence();
    prove(c, {copy_of(as_bytes("s"))});
    c.expect_message<RequestSuccessMessage>();
    c.expect_message<RequestFailureMessage>();
    c.expect_message<RequestSuccessMessage>();
  });
}

}  // namespace
}  // namespace culvert::ssh

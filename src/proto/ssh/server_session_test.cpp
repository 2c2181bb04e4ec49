// SPDX-License-Identifier: Apache-2.0
// What a server does for a client beside carrying streams, with a client of ours at the other end: logins of
// every form, listeners, their channels, host keys; and all of that while keys are renewed from either side.
// What only other clients do is in the scripts (server_auth_keys_test, session_channel_test).
#include <gtest/gtest.h>

#include "base/wire.hpp"
#include "proto/ssh/wire/messages.hpp"
#include "tests/support/session_pair.hpp"
#include "tests/support/test_certificate.hpp"

namespace culvert::ssh {
namespace {

using test::SessionPair;
using test::user_key;
using enum crypto::Certificate::Kind;

constexpr std::string_view kCertificate = "ssh-ed25519-cert-v01@openssh.com";

// The client's attempts, in order; the server takes who shows user_key(), and what it was asked is kept.
struct Logins {
  explicit Logins(SessionPair& pair, std::vector<std::function<void(Session&)>> attempts)
      : attempts_(std::move(attempts)) {
    pair.client.on_event = [this, &pair](const Event& event) {
      if (const auto* banner = std::get_if<BannerShown>(&event)) banners.push_back(banner->text);
      if (const auto* host = std::get_if<HostKeyOffered>(&event)) host_certificate = host->certificate;
      const auto* next = std::get_if<AuthNext>(&event);
      if (next == nullptr || made == attempts_.size()) return false;
      if (made > 0) EXPECT_EQ(next->methods, std::vector<std::string>{"publickey"});
      attempts_[made++](pair.client.session);
      return true;
    };
    pair.server.on_event = [this](const Event& event) {
      if (const auto* offered = std::get_if<UserOffered>(&event)) offers.push_back(*offered);
      return false;
    };
  }
  std::vector<std::function<void(Session&)>> attempts_;
  std::size_t made = 0;
  std::vector<UserOffered> offers;
  std::vector<std::string> banners;
  std::optional<crypto::Certificate> host_certificate;
};

std::function<void(Session&)> key(const crypto::PrivateKey& of, bool ask_first) {
  return [&of, ask_first](Session& s) { s.try_public_key(of.public_key(), "ssh-ed25519", ask_first); };
}

TEST(ServerSession, LoginsOfEveryForm) {
  for (const bool with_certificate : {false, true}) {
    for (const bool host_bound : {false, true}) {
      for (const bool ask_first : {false, true}) {
        SCOPED_TRACE(testing::Message() << with_certificate << host_bound << ask_first);
        SessionPair::Options options;
        options.client.host_bound = host_bound;
        options.server.host_certificates = {test::certificate_for(test::host_key().public_key(), host)};
        if (with_certificate) options.client.algorithms.host_keys = {std::string(kCertificate)};
        SessionPair pair(std::move(options));
        const auto certificate = test::certificate_for(user_key().public_key(), user);
        Logins logins(pair, {[&](Session& s) {
                        with_certificate
                            ? s.try_certificate(certificate, std::string(kCertificate), ask_first)
                            : key(user_key(), ask_first)(s);
                      }});
        ASSERT_TRUE(pair.join());
        EXPECT_EQ(logins.host_certificate.has_value(), with_certificate);
        ASSERT_EQ(logins.offers.size(), ask_first ? 2u : 1u);
        const UserOffered& last = logins.offers.back();
        EXPECT_TRUE(last.signed_ && logins.offers.front().signed_ == !ask_first);
        EXPECT_EQ(last.host_bound, host_bound);
        EXPECT_EQ(last.algorithm, with_certificate ? kCertificate : "ssh-ed25519");
        EXPECT_EQ(last.certificate, with_certificate ? std::optional(certificate) : std::nullopt);
        EXPECT_EQ(pair.server.session.refused_attempts(), 0u);
      }
    }
  }
}

TEST(ServerSession, RefusalsAndThenTheRightKey) {
  SessionPair::Options options;
  options.server.banner = "Hello\n";
  options.server.limits.auth_attempts = 4;
  SessionPair pair(std::move(options));
  Logins logins(pair, {[](Session& s) { s.try_none(); }, key(test::stranger_key(), true),
                       [](Session& s) { s.try_password(SecretBytes(std::string_view("secret"))); },
                       key(user_key(), true)});
  ASSERT_TRUE(pair.join());
  EXPECT_EQ(logins.offers.size(), 3u);
  EXPECT_EQ(logins.banners, std::vector<std::string>{"Hello\r\n"});
  EXPECT_EQ(pair.server.session.refused_attempts(), 2u);
}

TEST(ServerSession, TooManyAttempts) {
  SessionPair::Options options;
  options.server.limits.auth_attempts = 3;
  SessionPair pair(std::move(options));
  const auto wrong = key(test::stranger_key(), true);
  Logins logins(pair, {wrong, wrong, wrong, key(user_key(), true)});
  EXPECT_FALSE(pair.join());
  EXPECT_EQ(logins.offers.size(), 3u);
  ASSERT_TRUE(pair.server.ended && pair.client.ended);
  EXPECT_TRUE(pair.server.ended->code == Errc::limit) << pair.server.ended->message;
  EXPECT_EQ(pair.client.ended->detail, 14) << pair.client.ended->message;
}

// ---- after login

enum class Renewal : std::uint8_t { none, by_client, by_server, by_both };
constexpr Renewal kRenewals[] = {Renewal::none, Renewal::by_client, Renewal::by_server, Renewal::by_both};

// A pair that is logged in; keys are renewed as it says whenever renew() is called.
struct Connected {
  explicit Connected(Renewal who) : renewal(who) {
    pair.client.on_event = [this](const Event& event) {
      if (const auto* reply = std::get_if<GlobalReply>(&event)) replies.push_back(*reply);
      if (const auto* asked = std::get_if<ChannelRequested>(&event)) channels.push_back(*asked);
      return false;
    };
    pair.server.on_event = [this](const Event& event) {
      if (const auto* asked = std::get_if<ListenRequested>(&event)) listens.push_back(*asked);
      if (const auto* wanted = std::get_if<HostKeyProofWanted>(&event)) proof = *wanted;
      return false;
    };
    EXPECT_TRUE(pair.join());
  }
  void renew() {
    if (renewal == Renewal::by_client || renewal == Renewal::by_both) pair.client.session.request_rekey();
    if (renewal == Renewal::by_server || renewal == Renewal::by_both) pair.server.session.request_rekey();
  }
  template <class Fields>
  void ask(std::string_view name, const Fields& fields) {
    Bytes data;
    encode_fields(data, fields);
    ask_raw(name, data);
  }
  void ask_raw(std::string_view name, ByteView data) {
    pair.client.session.send_global_request(name, data, true, ++token);
  }
  void expect_all_well() {
    pair.run();
    for (const auto* end : {&pair.client, &pair.server}) EXPECT_FALSE(end->ended) << end->ended->message;
    const auto renewals = std::ranges::count(pair.client.log, "KeysAgreed") - 1;
    EXPECT_EQ(renewals > 0, renewal != Renewal::none);
  }

  Renewal renewal;
  SessionPair pair;
  std::uint64_t token = 0;
  std::vector<GlobalReply> replies;
  std::vector<ListenRequested> listens;
  std::vector<ChannelRequested> channels;
  std::optional<HostKeyProofWanted> proof;
};

TEST(ServerSession, ListenersComeAndGo) {
  for (const Renewal renewal : kRenewals) {
    SCOPED_TRACE(static_cast<int>(renewal));
    Connected c(renewal);
    c.renew();
    c.ask("tcpip-forward", TcpipForward{"localhost", 0});
    c.ask("tcpip-forward", TcpipForward{"::", 8080});
    c.ask("streamlocal-forward@openssh.com", StreamlocalForward{"/run/a"});
    c.ask("cancel-tcpip-forward", TcpipForward{"localhost", 40000});
    c.ask("cancel-streamlocal-forward@openssh.com", StreamlocalForward{"/run/a"});
    c.ask_raw("no-more-sessions@openssh.com", {});
    c.pair.run();
    ASSERT_EQ(c.listens.size(), 5u);
    EXPECT_TRUE(c.replies.empty());
    EXPECT_TRUE(c.listens[2].is_path && c.listens[4].is_path && c.listens[4].cancel);
    c.renew();
    for (std::size_t i = 0; i < 5; ++i) c.pair.server.session.reply_listen(i != 1, 40000);
    c.expect_all_well();
    ASSERT_EQ(c.replies.size(), 6u);
    for (std::size_t i = 0; i < 6; ++i) {
      EXPECT_EQ(c.replies[i].token, i + 1);
      EXPECT_EQ(c.replies[i].success, i != 1);
      EXPECT_EQ(c.replies[i].data, i == 0 ? (Bytes{0, 0, 0x9C, 0x40}) : Bytes{});
    }
  }
}

TEST(ServerSession, StreamsOfAListenerOnAPath) {
  for (const Renewal renewal : kRenewals) {
    SCOPED_TRACE(static_cast<int>(renewal));
    Connected c(renewal);
    c.renew();
    const auto id = c.pair.server.session.open_forwarded_streamlocal("/run/a");
    ASSERT_TRUE(id);
    c.pair.run();
    ASSERT_EQ(c.channels.size(), 1u);
    EXPECT_EQ(c.channels[0].type, "forwarded-streamlocal@openssh.com");
    EXPECT_EQ(c.channels[0].host, "/run/a");
    EXPECT_EQ(c.pair.server.opened, std::vector{*id});
    EXPECT_EQ(c.pair.server.session.send(*id, as_bytes("hello")), 5u);
    c.renew();
    c.expect_all_well();
    EXPECT_EQ(as_text(c.pair.client.data(c.channels[0].id)), "hello");
  }
  SessionPair pair;
  ASSERT_TRUE(pair.join());
  EXPECT_FALSE(pair.server.session.open_forwarded_streamlocal(std::string(64 * 1024, 'x')));
}

TEST(ServerSession, HostKeysAreProved) {
  for (const Renewal renewal : kRenewals) {
    SCOPED_TRACE(static_cast<int>(renewal));
    Connected c(renewal);
    const crypto::PublicKey& key = test::host_key().public_key();
    c.pair.server.session.announce_host_keys();  // which a client of ours does not mind
    c.renew();
    Bytes keys;
    Writer(keys).string(key.blob());
    c.ask_raw("hostkeys-prove-00@openssh.com", keys);
    c.pair.run();
    ASSERT_TRUE(c.proof);
    const Bytes signature = test::host_key().sign(c.proof->algorithms[0], c.proof->messages[0]).value();
    c.renew();
    c.pair.server.session.host_key_proof(std::vector<Bytes>{signature});
    c.expect_all_well();
    ASSERT_EQ(c.replies.size(), 1u);
    EXPECT_TRUE(c.replies[0].success);
    Reader reader(c.replies[0].data);
    EXPECT_TRUE(key.verify("ssh-ed25519", c.proof->messages[0], reader.string().value()));
    EXPECT_TRUE(reader.end());
  }
}

}  // namespace
}  // namespace culvert::ssh

// SPDX-License-Identifier: Apache-2.0
// Scripts of the transport layer: from the first byte to the first keys, in either role.
#include <gtest/gtest.h>

#include "tests/support/conversation.hpp"
#include "tests/support/handshake_steps.hpp"
#include "tests/support/test_certificate.hpp"

namespace culvert::ssh {
namespace {

using std::chrono::seconds;
using test::Conversation;
using test::kRoles;
using test::reply_with;
using test::run_everywhere;
using test::ScriptedPeer;
using test::without_strict;

TEST(Handshake, FirstKeys) {
  for (const Role role : kRoles) {
    run_everywhere(role, [](Conversation& c) {
      c.command([](Session&) {});
      c.as_peer([](ScriptedPeer& p) {
        EXPECT_EQ(p.their_identification(), "SSH-2.0-culvert_0.1");  // nobody waits for the other
        p.identify("SSH-2.0-script with a comment");
      });
      c.exchange_keys();
      c.command([](Session& s) { EXPECT_EQ(s.peer_identification(), "SSH-2.0-script with a comment"); });
      if (c.peer.role() == Role::server) {
        c.expect_message<ServiceRequestMessage>();
        c.expect_event<AuthNext>();
      }
    });
  }
}

// The default cipher's nonce is the sequence number: keys that start at another number do not fit.
TEST(Handshake, SequenceNumbersStartAgainOnlyUnderStrictKeyExchange) {
  for (const Role role : kRoles) {
    for (const bool strict : {true, false}) {
      Conversation::Options options;
      options.offer.strict = strict;
      run_everywhere(
          role,
          [&](Conversation& c) {
            c.connect();
            if (c.goes_on()) EXPECT_EQ(c.peer.strict(), strict);
            c.exchange_keys();
          },
          options);
    }
  }
}

TEST(Handshake, WhatWasAgreedIsReported) {
  Conversation::Options options;
  options.offer.cipher = "aes192-ctr";
  options.offer.mac = "hmac-sha2-512";
  test::run(
      Role::client,
      [](Conversation& c) {
        c.as_peer([](ScriptedPeer& p) { p.identify(); });
        c.expect_message<KexInitMessage>();
        c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
        c.expect_message<KexStringInitMessage>();
        c.as_peer([](ScriptedPeer& p) { p.send_reply(test::host_key()); });
        c.expect_event<HostKeyOffered>([](HostKeyOffered& e) {
          EXPECT_TRUE(e.key == test::host_key().public_key());
          EXPECT_EQ(e.algorithm, "ssh-ed25519");
        });
        c.expect_silence();  // nothing of ours leaves before the host key is accepted
        c.command([](Session& s) { s.accept_host_key(); });
        c.expect_message<NewKeysMessage>();
        c.send(NewKeysMessage{});
        c.expect_event<KeysAgreed>([](KeysAgreed& e) {
          EXPECT_EQ(e.key_exchange, "curve25519-sha256");
          EXPECT_EQ(e.cipher_out, "aes192-ctr");
          EXPECT_EQ(e.mac_in, "hmac-sha2-512");
          EXPECT_TRUE(e.first && e.strict);
        });
        c.expect_event<AuthNext>();
        c.expect_message<ServiceRequestMessage>();
      },
      options);
}

TEST(Handshake, RejectedHostKey) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.as_peer([](ScriptedPeer& p) { p.identify(); });
    c.expect_message<KexInitMessage>();
    c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
    c.expect_message<KexStringInitMessage>();
    c.as_peer([](ScriptedPeer& p) { p.send_reply(test::host_key()); });
    c.expect_event<HostKeyOffered>();
    c.command([](Session& s) { s.reject_host_key("the host key has changed"); });
    c.expect_end(Errc::verification, "the host key has changed");
    c.expect_goodbye(DisconnectReason::host_key_not_verifiable);
  });
}

TEST(Handshake, WrongSignature) {
  run_everywhere(Role::client, [](Conversation& c) {
    reply_with(c, [](ScriptedPeer& p) {
      p.send_reply(test::host_key(), [](Bytes& signature) { signature.back() ^= 1; });
    });
    c.expect_end(Errc::protocol, "does not fit its host key");
    c.expect_goodbye(DisconnectReason::key_exchange_failed);
  });
}

TEST(Handshake, HostKeyOfAnotherTypeThanAgreed) {
  Conversation::Options options;
  options.offer.host_key = "rsa-sha2-512";
  test::run(
      Role::client,
      [](Conversation& c) {
        reply_with(c, [](ScriptedPeer& p) {
          p.send(KexStringReplyMessage{test::host_key().public_key().blob(), Bytes(32, 9), Bytes(10)});
        });
        c.expect_end(Errc::protocol, "another type than agreed");
        c.expect_goodbye(DisconnectReason::key_exchange_failed);
      },
      options);
}

TEST(Handshake, UnusableHostKeyAndValues) {
  const auto refused = [](Errc code, ByteView key, ByteView value) {
    test::run(Role::client, [&](Conversation& c) {
      reply_with(c, [&](ScriptedPeer& p) { p.send(KexStringReplyMessage{key, value, Bytes(10)}); });
      c.expect_end(code);
      c.expect_payload([](ByteView payload) { EXPECT_EQ(payload[0], 1); });
    });
  };
  const Bytes key = copy_of(test::host_key().public_key().blob());
  refused(Errc::protocol, Bytes(40, 1), Bytes(32, 9));
  refused(Errc::protocol, key, Bytes(31, 9));
  refused(Errc::protocol, key, Bytes(32, 0));  // leads to a shared secret of zero
  refused(Errc::protocol, key, {});
  refused(Errc::protocol, {}, {});

  test::run(Role::server, [](Conversation& c) {
    c.as_peer([](ScriptedPeer& p) {
      p.identify();
      p.send_kexinit();
    });
    c.expect_message<KexInitMessage>();
    c.send(KexStringInitMessage{Bytes(33, 1)});
    c.expect_end(Errc::protocol);
    c.expect_payload([](ByteView payload) { EXPECT_EQ(payload[0], 1); });
  });
}

TEST(Handshake, NothingInCommonNamesBothOffers) {
  const auto differs = [](std::string what, std::string ours, std::function<void(KexInitMessage&)> change) {
    test::run(Role::client, [&](Conversation& c) {
      c.as_peer([&](ScriptedPeer& p) {
        p.identify();
        p.send_kexinit(change);
      });
      c.expect_message<KexInitMessage>();
      c.expect_event<Disconnected>([&](Disconnected& e) {
        EXPECT_NE(e.error.message.find("no " + what), std::string::npos) << e.error.message;
        EXPECT_NE(e.error.message.find("old-one"), std::string::npos) << e.error.message;
        EXPECT_NE(e.error.message.find(ours), std::string::npos) << e.error.message;
      });
      c.expect_goodbye(DisconnectReason::key_exchange_failed);
    });
  };
  differs("key exchange method", "curve25519-sha256",
          [](KexInitMessage& m) { m.key_exchanges.text = "old-one"; });
  differs("host key algorithm", "ssh-ed25519", [](KexInitMessage& m) { m.host_keys.text = "old-one"; });
  differs("cipher (client to server)", "aes128-gcm",
          [](KexInitMessage& m) { m.ciphers_to_server.text = "old-one"; });
  differs("cipher (server to client)", "aes128-gcm",
          [](KexInitMessage& m) { m.ciphers_to_client.text = "old-one"; });
  differs("compression (client to server)", "none",
          [](KexInitMessage& m) { m.compressions_to_server.text = "old-one"; });
  differs("MAC (server to client)", "hmac-sha2-256", [](KexInitMessage& m) {
    m.ciphers_to_client.text = "aes128-ctr";
    m.macs_to_client.text = "old-one";
  });
}

TEST(Handshake, AMarkerIsNoMethod) {
  test::run(Role::client, [](Conversation& c) {
    c.as_peer([](ScriptedPeer& p) {
      p.identify();
      p.send_kexinit(
          [](KexInitMessage& m) { m.key_exchanges.text = "ext-info-c,kex-strict-s-v00@openssh.com"; });
    });
    c.expect_message<KexInitMessage>();
    c.expect_end(Errc::protocol, "no key exchange method in common");
    c.expect_goodbye(DisconnectReason::key_exchange_failed);
  });
}

// ---- strict key exchange (CVE-2023-48795)

TEST(Handshake, StrictBearsNothingElseBeforeTheFirstKeys) {
  for (const Role role : kRoles) {
    run_everywhere(role, [](Conversation& c) {
      c.as_peer([](ScriptedPeer& p) {
        p.identify();
        p.send_kexinit();
      });
      c.expect_message<KexInitMessage>();
      if (c.peer.role() == Role::server) c.expect_message<KexStringInitMessage>();
      c.send(IgnoreMessage{as_bytes("prefix truncation")});
      c.expect_protocol_error("message 2 is not allowed");
    });
    run_everywhere(role, [](Conversation& c) {
      c.as_peer([](ScriptedPeer& p) {
        p.identify();
        p.send(IgnoreMessage{as_bytes("in front")});
        p.send_kexinit();
      });
      c.expect_message<KexInitMessage>();
      c.expect_protocol_error("KEXINIT was not the first message");
    });
  }
}

TEST(Handshake, WithoutStrictNoiseIsBorneAnywhere) {
  const auto noise = [](ScriptedPeer& p) {
    p.send(IgnoreMessage{as_bytes("noise")});
    p.send(DebugMessage{true, "noise\x1b[2J", ""});
    p.send(UnimplementedMessage{7});
  };
  run_everywhere(
      Role::client,
      [&](Conversation& c) {
        c.as_peer([](ScriptedPeer& p) { p.identify(); });
        c.as_peer(noise);
        c.expect_message<KexInitMessage>();
        c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
        c.as_peer(noise);
        c.expect_message<KexStringInitMessage>();
        c.as_peer([](ScriptedPeer& p) { p.send_reply(test::host_key()); });
        c.expect_event<HostKeyOffered>();
        c.command([](Session& s) { s.accept_host_key(); });
        c.as_peer(noise);
        c.send(NewKeysMessage{});
        c.as_peer(noise);
        c.expect_message<NewKeysMessage>();
        c.expect_event<KeysAgreed>([](KeysAgreed& e) { EXPECT_FALSE(e.strict); });
        c.expect_event<AuthNext>();
        c.expect_message<ServiceRequestMessage>();
      },
      without_strict());
}

// ---- guesses (RFC 4253 section 7.1)

Conversation::Options guessing(std::string methods) {
  Conversation::Options options;
  options.machine.algorithms.key_exchanges = {"curve25519-sha256", "ecdh-sha2-nistp256"};
  options.machine.algorithms.host_keys = {"ssh-ed25519"};
  options.offer.key_exchange = std::move(methods);
  options.offer.first_packet_follows = true;
  return options;
}

TEST(Handshake, RightGuessOfTheClient) {
  run_everywhere(
      Role::server,
      [](Conversation& c) {
        c.exchange_up_to_new_keys();
        c.send(NewKeysMessage{});
        c.expect_event<KeysAgreed>();
        c.expect_message<ExtInfoMessage>();
      },
      guessing("curve25519-sha256,ecdh-sha2-nistp256"));
}

TEST(Handshake, WrongGuessOfTheClientIsSkipped) {
  run_everywhere(
      Role::server,
      [](Conversation& c) {
        c.as_peer([](ScriptedPeer& p) { p.identify(); });
        c.expect_message<KexInitMessage>();
        c.as_peer([](ScriptedPeer& p) {
          p.send_kexinit();
          p.send(KexStringInitMessage{as_bytes("a value of another method")});
          p.send_value();
        });
        c.answer_host_signature();
        c.expect_message<KexStringReplyMessage>();
        c.expect_message<NewKeysMessage>();
        c.send(NewKeysMessage{});
        c.expect_event<KeysAgreed>([](KeysAgreed& e) { EXPECT_EQ(e.key_exchange, "ecdh-sha2-nistp256"); });
        c.expect_message<ExtInfoMessage>();
      },
      guessing("ecdh-sha2-nistp256,curve25519-sha256"));
}

TEST(Handshake, OnlyOneGuessIsSkipped) {
  test::run(
      Role::server,
      [](Conversation& c) {
        c.as_peer([](ScriptedPeer& p) {
          p.identify();
          p.send_kexinit();
          p.send(KexStringInitMessage{as_bytes("wrong")});
          p.send(KexStringInitMessage{as_bytes("and wrong again")});
        });
        c.expect_message<KexInitMessage>();
        c.expect_end(Errc::protocol);
        c.expect_goodbye(DisconnectReason::key_exchange_failed);
      },
      guessing("ecdh-sha2-nistp256,curve25519-sha256"));
}

// ---- identification, seen by the whole machine

void ends_before_identification(Role role, std::string_view sent, std::string_view text,
                                bool said_goodbye = false) {
  test::run(role, [&](Conversation& c) {
    c.as_peer([&](ScriptedPeer& p) { p.write_raw(as_bytes(sent)); });
    c.command([&](Session& s) { s.commit_end(c.clock.now()); });
    c.expect_message<KexInitMessage>();
    c.expect_event<Disconnected>([&](Disconnected& e) {
      EXPECT_NE(e.error.message.find(text), std::string::npos) << e.error.message;
    });
    if (said_goodbye) c.expect_goodbye(DisconnectReason::protocol_error);
  });
}

TEST(Handshake, WhatIsNoSshServerIsNamed) {
  ends_before_identification(Role::client, "",
                             "the server closed the connection before it identified itself");
  ends_before_identification(
      Role::client, "HTTP/1.1 400 Bad Request\r\n\r\n",
      "closed the connection before it identified itself; it sent \"HTTP/1.1 400 Bad Request\"");
  ends_before_identification(Role::client, "Not allowed at this time\r\n", "shuts out this address for now");
  ends_before_identification(Role::client, "Exceeded MaxStartups\r\n", "too many others are logging in");
  ends_before_identification(Role::client, "220 mail\x1b[2J", "it sent \"220 mail\\x1b[2J\"");
  ends_before_identification(Role::client, "SSH-1.5-old\r\n", "another version of the protocol", true);
  ends_before_identification(Role::client, std::string(9000, 'x'), "line of more than 8192 bytes", true);
  ends_before_identification(Role::server, "GET / HTTP/1.1\r\n",
                             "does not speak SSH (it sent \"GET / HTTP/1.1", true);
  ends_before_identification(Role::server, "\nSSH-2.0-x\r\n", "does not speak SSH", true);
  ends_before_identification(Role::server, "",
                             "the client closed the connection before it identified itself");
}

TEST(Handshake, LinesBeforeTheServersIdentification) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.as_peer([](ScriptedPeer& p) {
      p.write_raw(as_bytes("Welcome\r\n\r\nto the bastion\n"));
      p.identify();
    });
    c.exchange_keys();
    c.expect_event<AuthNext>();
    c.expect_message<ServiceRequestMessage>();
  });
}

// ---- extensions (RFC 8308)

Bytes ext_info(std::uint32_t count, std::initializer_list<std::string_view> strings) {
  Bytes extensions;
  for (const std::string_view text : strings) Writer(extensions).text(text);
  return encoded(ExtInfoMessage{count, Rest{extensions}});
}

TEST(Handshake, ServersSignatureAlgorithmsReachAuthentication) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.as_peer([](ScriptedPeer& p) { p.identify(); });
    c.expect_message<KexInitMessage>();
    c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
    c.expect_message<KexStringInitMessage>();
    c.as_peer([](ScriptedPeer& p) { p.send_reply(test::host_key()); });
    c.expect_event<HostKeyOffered>();
    c.as_peer([](ScriptedPeer& p) {
      p.send(NewKeysMessage{});
      p.send_raw(ext_info(2, {"server-sig-algs", "ssh-ed25519,rsa-sha2-512", "something@else", "value"}));
    });
    c.command([](Session& s) { s.accept_host_key(); });
    c.expect_event<KeysAgreed>();
    c.expect_event<AuthNext>([](AuthNext& e) {
      EXPECT_EQ(e.server_signature_algorithms, (std::vector<std::string>{"ssh-ed25519", "rsa-sha2-512"}));
    });
    c.expect_message<NewKeysMessage>();
    c.expect_message<ServiceRequestMessage>();
  });
}

TEST(Handshake, ExtensionsMayComeAgainJustBeforeLogin) {
  run_everywhere(Role::client, [](Conversation& c) {
    c.start_authentication();
    c.expect_event<AuthNext>();
    c.send_raw(ext_info(1, {"server-sig-algs", "ssh-ed25519"}));
    c.command([](Session& s) { s.try_none(); });
    c.expect_message<UserauthRequestMessage>();
    c.send(UserauthFailureMessage{NameList{"publickey"}, false});
    c.expect_event<AuthNext>([](AuthNext& e) {
      EXPECT_EQ(e.server_signature_algorithms, std::vector<std::string>{"ssh-ed25519"});
    });
  });
}

TEST(Handshake, AServerTellsItsExtensions) {
  test::run(Role::server, [](Conversation& c) {
    c.exchange_up_to_new_keys();
    c.expect_payload([](ByteView payload) {
      const auto expected =
          ext_info(3, {"server-sig-algs",
                       "ssh-ed25519-cert-v01@openssh.com,"
                       "ecdsa-sha2-nistp256-cert-v01@openssh.com,"
                       "ecdsa-sha2-nistp384-cert-v01@openssh.com,"
                       "ecdsa-sha2-nistp521-cert-v01@openssh.com,"
                       "rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-256-cert-v01@openssh.com,"
                       "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,"
                       "ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256",
                       "publickey-hostbound@openssh.com", "0", "ping@openssh.com", "0"});
      EXPECT_EQ(as_text(payload), as_text(expected));
    });
  });
}

TEST(Handshake, AServerShowsACertificateToWhomWantsIt) {
  using enum crypto::Certificate::Kind;
  const auto& key = test::host_key().public_key();
  constexpr std::string_view kName = "ssh-ed25519-cert-v01@openssh.com";
  Conversation::Options options;
  options.machine.host_certificates = {test::certificate_for(key, user),
                                       test::certificate_for(test::stranger_key().public_key(), host),
                                       test::certificate_for(key, host)};
  for (const std::string_view wanted : {kName, std::string_view("ssh-ed25519")}) {
    options.offer.host_key = wanted;
    run_everywhere(
        Role::server,
        [&](Conversation& c) {
          c.as_peer([](ScriptedPeer& p) { p.identify(); });
          c.expect_message<KexInitMessage>([](const KexInitMessage& m) {
            EXPECT_EQ(m.host_keys.text, "ssh-ed25519-cert-v01@openssh.com,ssh-ed25519");
          });
          c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
          c.as_peer([](ScriptedPeer& p) { p.send_value(); });
          c.answer_host_signature();
          c.expect_message<KexStringReplyMessage>([&](const KexStringReplyMessage& m) {
            const ByteView shown = wanted == kName ? options.machine.host_certificates[2].blob() : key.blob();
            EXPECT_TRUE(std::ranges::equal(m.host_key, shown));
          });
          c.expect_message<NewKeysMessage>();
          c.expect_message<ExtInfoMessage>();
          c.send(NewKeysMessage{});
          c.expect_event<KeysAgreed>([&](KeysAgreed& e) { EXPECT_EQ(e.host_key, wanted); });
          c.send(ServiceRequestMessage{"ssh-userauth"});
          c.expect_message<ServiceAcceptMessage>();
          c.send_raw(c.signed_request());
          c.expect_event<UserOffered>();
          c.command([](Session& s) { s.accept_user(); });
          c.expect_message<UserauthSuccessMessage>();
          c.expect_event<Authenticated>();
          c.exchange_keys();  // and again when keys are renewed
        },
        options);
  }
  options.machine.host_certificates.pop_back();  // what is left is no certificate of this host
  options.offer.host_key = kName;
  test::run(
      Role::server,
      [](Conversation& c) {
        c.as_peer([](ScriptedPeer& p) { p.identify(); });
        c.expect_message<KexInitMessage>();
        c.as_peer([](ScriptedPeer& p) { p.send_kexinit(); });
        c.expect_end(Errc::protocol, "no host key algorithm in common");
        c.expect_goodbye(DisconnectReason::key_exchange_failed);
      },
      options);
}

TEST(Handshake, BadExtensions) {
  const auto refused = [](Bytes payload, Errc code) {
    test::run(Role::server, [&](Conversation& c) {
      c.exchange_first_keys();
      c.send_raw(payload);
      c.expect_end(code);
      c.expect_goodbye(DisconnectReason::protocol_error);
    });
  };
  refused(ext_info(1, {"name only"}), Errc::malformed);
  refused(ext_info(0, {"too", "much"}), Errc::malformed);
  refused(ext_info(0xFFFFFFFF, {"a", "b"}), Errc::protocol);
}

}  // namespace
}  // namespace culvert::ssh

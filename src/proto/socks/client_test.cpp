// SPDX-License-Identifier: Apache-2.0
#include "proto/socks/client.hpp"

#include <optional>

#include <gtest/gtest.h>

#include "proto/socks/server.hpp"

namespace culvert::socks {
namespace {

using State = Client::State;
using namespace std::string_literals;

std::string sent_by(Client& client) {
  std::string text(as_text(client.output()));
  client.consume_output(client.output().size());
  return text;
}

std::optional<Login> ann() { return Login{"ann", SecretBytes(std::string_view("secret"))}; }

// The error that these answers, one after the other, come to; "" if none.
std::string error_after(Protocol protocol, std::initializer_list<std::string_view> answers,
                        std::optional<Login> login = std::nullopt) {
  Client client(protocol, {"db", 5432}, std::move(login));
  for (const std::string_view answer : answers) {
    (void)sent_by(client);
    for (const char letter : answer) client.feed(as_bytes(std::string_view(&letter, 1)));
  }
  return client.error();
}

TEST(SocksClient, Socks5) {
  Client client(Protocol::socks5, {"db.internal", 0x1234});
  EXPECT_EQ(sent_by(client), "\x05\x01\x00"s);
  EXPECT_EQ(client.feed(as_bytes("\x05\x00"s)), 2u);
  EXPECT_EQ(sent_by(client),
            "\x05\x01\x00\x03\x0B"
            "db.internal\x12\x34"s);
  EXPECT_EQ(client.state(), State::talking);
  const std::string answer = "\x05\x00\x00\x03\x02xy\x00\x01SSH-2.0"s;  // what follows is the server's
  EXPECT_EQ(client.feed(as_bytes(answer)), answer.size() - 7);
  EXPECT_EQ(client.state(), State::connected);
  EXPECT_EQ(client.feed(as_bytes("x")), 0u);
  client.on_end();
  EXPECT_EQ(client.state(), State::connected);
}

TEST(SocksClient, Socks5AddressesAndLogin) {
  Client v4(Protocol::socks5, {"192.0.2.1", 22}, ann());
  EXPECT_EQ(sent_by(v4), "\x05\x02\x00\x02"s);
  v4.feed(as_bytes("\x05\x02"s));
  EXPECT_EQ(sent_by(v4),
            "\x01\x03"
            "ann\x06secret"s);
  v4.feed(as_bytes("\x01\x00"s));
  EXPECT_EQ(sent_by(v4), "\x05\x01\x00\x01\xC0\x00\x02\x01\x00\x16"s);
  v4.feed(as_bytes("\x05\x00\x00\x04"s + std::string(18, 'x')));
  EXPECT_EQ(v4.state(), State::connected);
  Client v6(Protocol::socks5, {"2001:db8::1", 22}, ann());
  (void)sent_by(v6);
  v6.feed(as_bytes("\x05\x00"s));  // it wants none: none is sent
  EXPECT_EQ(sent_by(v6), "\x05\x01\x00\x04\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x16"s);
}

TEST(SocksClient, Socks5Failures) {
  const auto after = [](std::initializer_list<std::string_view> answers,
                        std::optional<Login> login = std::nullopt) {
    return error_after(Protocol::socks5, answers, std::move(login));
  };
  const std::string_view chosen("\x05\x00", 2);
  EXPECT_EQ(after({"HTTP/1.1 400 Bad Request\r\n"}), "it does not speak SOCKS 5");
  EXPECT_EQ(after({"\x05\xFF"}), "the proxy wants a login: give it as user:password@");
  EXPECT_EQ(after({"\x05\xFF"}, ann()), "the proxy takes no password");
  EXPECT_EQ(after({"\x05\x01"}), "the proxy wants a login of a kind that was not offered (1)");
  EXPECT_EQ(after({"\x05\x02"}), "the proxy wants a login of a kind that was not offered (2)");
  EXPECT_EQ(after({"\x05\x02", "\x01\x01"}, ann()), "the proxy refuses user and password");
  EXPECT_EQ(after({chosen, "\x05\x05"}), "the proxy refuses: connection refused (SOCKS reply 5)");
  EXPECT_EQ(after({chosen, "\x05\x02"}), "the proxy refuses: not allowed by its rules (SOCKS reply 2)");
  EXPECT_EQ(after({chosen, "\x05\x5B"}), "the proxy refuses: unknown reason (SOCKS reply 91)");
  EXPECT_EQ(after({chosen, std::string_view("\x05\x00\x00\x09\x00", 5)}), "the proxy's answer is malformed");
  EXPECT_EQ(after({chosen, std::string_view("\x04\x00", 2)}), "it does not speak SOCKS 5");
}

TEST(SocksClient, Http) {
  Client client(Protocol::http, {"2001:db8::1", 22}, ann());
  EXPECT_EQ(sent_by(client),
            "CONNECT [2001:db8::1]:22 HTTP/1.1\r\nHost: [2001:db8::1]:22\r\n"
            "Proxy-Authorization: Basic YW5uOnNlY3JldA==\r\n\r\n");
  const std::string answer =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 204\r\nContent-Length: 3\r\nX: y\r\n\r\nSSH-2.0";
  EXPECT_EQ(client.feed(as_bytes(answer)), answer.size() - 7);
  EXPECT_EQ(client.state(), State::connected);
}

TEST(SocksClient, HttpFailures) {
  const auto after = [](std::string_view answer, std::optional<Login> login = std::nullopt) {
    return error_after(Protocol::http, {answer}, std::move(login));
  };
  EXPECT_EQ(after("HTTP/1.1 407 Proxy Authentication Required\r\n"),
            "the proxy wants a login: give it as user:password@ (HTTP 407)");
  EXPECT_EQ(after("HTTP/1.1 407 No\r\n", ann()), "the proxy refuses user and password (HTTP 407)");
  EXPECT_EQ(after("HTTP/1.1 503 Service \x1b[31m\r\n"), "the proxy refuses: HTTP 503 Service \\x1b[31m");
  EXPECT_EQ(after("HTTP/1.1 301 Moved\n"), "the proxy refuses: HTTP 301 Moved");
  EXPECT_EQ(after("HTTP/1.1 101 Switching\r\n"), "the proxy refuses: HTTP 101 Switching");
  for (const std::string_view text :
       {"SSH-2.0-OpenSSH\r\n", "HTTP/1.1 20\r\n", "HTTP/1.1 2000 x\r\n", "HTTP/1.1 042 x\r\n",
        "HTTP/2.0 200 x\r\n", "\r\n", "HTTP/1.1200 OK\r\n"})
    EXPECT_EQ(after(text), "it does not answer as an HTTP proxy") << text;
  EXPECT_EQ(after(std::string(70'000, 'x')), "the proxy's answer is too long");
  std::string interim;
  for (int i = 0; i < 10'000; ++i) interim += "HTTP/1.1 100 C\r\n\r\n";
  EXPECT_EQ(after(interim), "the proxy's answer is too long");
}

TEST(SocksClient, AnEndOnTheWay) {
  Client silent(Protocol::socks5, {"db", 1});
  silent.on_end();
  EXPECT_EQ(silent.error(), "the proxy ended the connection without an answer");
  Client early(Protocol::http, {"db", 1});
  early.feed(as_bytes("HTTP/1.1 200 OK\r\n"));
  early.on_end();
  EXPECT_EQ(early.error(), "the proxy ended the connection too early");
}

TEST(SocksClient, WhatCannotBeSaidFailsAtOnce) {
  const auto fails = [](Protocol protocol, std::string host, std::string user, std::string_view password) {
    const Client client(protocol, {std::move(host), 1}, Login{std::move(user), SecretBytes(password)});
    return client.state() == State::failed && client.output().empty();
  };
  const std::string longest(255, 'x');
  for (const Protocol protocol : {Protocol::socks5, Protocol::http}) {
    EXPECT_TRUE(fails(protocol, longest + "x", "u", "p"));
    EXPECT_TRUE(fails(protocol, "", "u", "p"));
    EXPECT_TRUE(fails(protocol, "a\r\nb", "u", "p"));
    EXPECT_TRUE(fails(protocol, "a", longest + "x", "p"));
    EXPECT_TRUE(fails(protocol, "a", "u", longest + "x"));
    EXPECT_FALSE(fails(protocol, longest, longest, longest));
  }
  EXPECT_TRUE(fails(Protocol::http, "a", "u:v", "p"));
  EXPECT_TRUE(fails(Protocol::socks5, "a", "u", ""));
}

// Our two sides, joined: every byte on its own.
TEST(SocksClient, UnderstandsOurServer) {
  const auto accounts = Accounts::parse("ann:secret").value();
  for (const Protocol protocol : {Protocol::socks5, Protocol::http}) {
    for (const bool login : {false, true}) {
      for (const bool served : {false, true}) {
        Client client(protocol, {"db.internal", 5432}, login ? ann() : std::nullopt);
        Server server(login ? &accounts : nullptr);
        for (int turn = 0; turn < 1000 && client.state() == State::talking; ++turn) {
          if (!client.output().empty()) {
            server.feed(client.output().first(1));
            client.consume_output(1);
          }
          if (server.state() == Server::State::requested)
            served ? server.connected() : server.refuse(Failure::connection_refused);
          if (!server.output().empty()) {
            client.feed(server.output().first(1));
            server.consume_output(1);
          }
        }
        EXPECT_EQ(server.request().where, (Address{"db.internal", 5432}));
        EXPECT_EQ(client.state(), served ? State::connected : State::failed) << client.error();
        if (served) EXPECT_TRUE(server.output().empty());
      }
    }
  }
}

}  // namespace
}  // namespace culvert::socks

// SPDX-License-Identifier: Apache-2.0
// From RFC 1928, RFC 1929, the texts of SOCKS 4 and 4a, and RFC 9110 section 9.3.6.
#include "proto/socks/server.hpp"

#include <memory>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace culvert::socks {
namespace {

using State = Server::State;
using namespace std::string_literals;

// What a conversation came to: all that was sent, and what was not taken.
struct Outcome {
  State state = State::reading;
  std::string sent;
  std::string left;
  std::optional<Address> where;
  Command command = Command::connect;
  std::string why;
  bool operator==(const Outcome&) const = default;
};

Outcome feed(std::string_view text, std::size_t piece, const Accounts* accounts) {
  Server server(accounts);
  Outcome outcome;
  std::size_t at = 0;
  while (at < text.size() && server.state() == State::reading) {
    const std::string_view part = text.substr(at, piece);
    const auto taken = server.feed(as_bytes(part));
    EXPECT_TRUE(taken == part.size() || server.state() != State::reading);
    at += taken;
    outcome.sent += as_text(server.output());
    server.consume_output(server.output().size());
  }
  EXPECT_EQ(server.state() == State::reading ? std::size_t{0} : server.feed(as_bytes("x")), 0u);
  outcome.state = server.state();
  outcome.left = text.substr(at);
  outcome.why = server.why();
  if (server.state() == State::requested) {
    outcome.where = server.request().where;
    outcome.command = server.request().command;
  }
  return outcome;
}

// Pieces make no difference, and no part of a good request is taken for one.
Outcome talk(std::string_view text, const Accounts* accounts = nullptr) {
  const Outcome whole = feed(text, text.size(), accounts);
  for (const std::size_t piece : {1, 2, 3, 7, 100}) EXPECT_EQ(feed(text, piece, accounts), whole) << text;
  const auto needed = text.size() - whole.left.size();
  for (std::size_t size = 0; size < needed; ++size) {
    const Outcome cut = feed(text.substr(0, size), 1, accounts);
    EXPECT_EQ(cut.state, State::reading) << size << " bytes of " << text;
    EXPECT_TRUE(whole.sent.starts_with(cut.sent));
  }
  return whole;
}

void expect_request(const Outcome& outcome, const Address& where, Command command = Command::connect) {
  EXPECT_EQ(outcome.state, State::requested) << outcome.why;
  ASSERT_TRUE(outcome.where);
  EXPECT_EQ(*outcome.where, where);
  EXPECT_EQ(outcome.command, command);
}

std::string byte(std::size_t value) { return {static_cast<char>(value)}; }
std::string socks4(int command, std::string_view address, std::string_view user, std::string_view name = {}) {
  std::string text = "\x04" + byte(command) + "\x00\x50"s + std::string(address) + std::string(user) + '\0';
  return name.empty() ? text : text + std::string(name) + '\0';
}
std::string request5(int command, int type, std::string_view address) {
  return "\x05" + byte(command) + '\0' + byte(type) + std::string(address) + "\x00\x50"s;
}
std::string name5(std::string_view name) { return byte(name.size()) + std::string(name); }
std::string login5(std::string_view user, std::string_view password) {
  return "\x01" + name5(user) + name5(password);
}

const std::string kHello5 = "\x05\x01\x00"s;
const std::string kChosen5 = "\x05\x00"s;
std::string refused5(int code) { return "\x05" + byte(code) + "\x00\x01\0\0\0\0\0\0"s; }
const std::string kRefused4 = "\x00\x5B\0\0\0\0\0\0"s;

TEST(SocksServer, Socks4) {
  const auto outcome = talk(socks4(1, "\x0A\x00\x00\x05"s, "me") + "early");
  expect_request(outcome, {"10.0.0.5", 80});
  EXPECT_EQ(outcome.sent, "");
  EXPECT_EQ(outcome.left, "early");
  expect_request(talk(socks4(2, "\x0A\x00\x00\x05"s, "")), {"10.0.0.5", 80}, Command::bind);
  expect_request(talk(socks4(1, "\0\0\0\0"s, "x")), {"0.0.0.0", 80});  // not 4a: the last byte is zero
}

TEST(SocksServer, Socks4a) {
  expect_request(talk(socks4(1, "\0\0\0\x01"s, "", "db.internal") + "\x00more"s), {"db.internal", 80});
  expect_request(talk(socks4(1, "\0\0\0\xFF"s, "user", "x")), {"x", 80});
  expect_request(talk(socks4(1, "\0\0\0\x01"s, std::string(255, 'u'), std::string(255, 'n'))),
                 {std::string(255, 'n'), 80});
}

TEST(SocksServer, Socks4Refuses) {
  for (const auto& text : {
           socks4(3, "\x0A\x00\x00\x05"s, ""),
           socks4(0, "\x0A\x00\x00\x05"s, ""),
           socks4(1, "\0\0\0\x01"s, "") + "\0"s,                   // an empty name
           socks4(1, "\0\0\0\x01"s, "", "a b"),                    // no name
           socks4(1, "\x0A\x00\x00\x05"s, std::string(256, 'u')),  // without end
           socks4(1, "\0\0\0\x01"s, "", std::string(256, 'n')),
       }) {
    const auto outcome = feed(text, 1, nullptr);
    EXPECT_EQ(outcome.state, State::refused);
    EXPECT_EQ(outcome.sent, kRefused4);
    EXPECT_FALSE(outcome.why.empty());
  }
}

TEST(SocksServer, Socks5EveryTypeOfAddress) {
  const auto v4 = talk(kHello5 + request5(1, 1, "\x7F\x00\x00\x01"s) + "early\0data"s);
  expect_request(v4, {"127.0.0.1", 80});
  EXPECT_EQ(v4.sent, kChosen5);
  EXPECT_EQ(v4.left, "early\0data"s);
  expect_request(talk(kHello5 + request5(1, 4, "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01"s)),
                 {"2001:db8::1", 80});
  for (const std::size_t size : {1, 2, 254, 255}) {
    const std::string name(size, 'n');
    expect_request(talk(kHello5 + request5(1, 3, name5(name))), {name, 80});
  }
  // Names go on as they came: nothing is lowered, no dot is cut off.
  expect_request(talk(kHello5 + request5(2, 3, name5("DB.Internal."))), {"DB.Internal.", 80}, Command::bind);
}

TEST(SocksServer, Socks5Methods) {
  std::string all = "\x05\xFF"s;
  for (int i = 0; i < 255; ++i) all += byte(254 - i);
  expect_request(talk(all + request5(1, 3, name5("x"))), {"x", 80});
  for (const auto& hello : {"\x05\x00"s, "\x05\x01\x02"s, "\x05\x02\x01\x80"s}) {
    const auto outcome = talk(hello + "more");
    EXPECT_EQ(outcome.state, State::refused);
    EXPECT_EQ(outcome.sent, "\x05\xFF"s);
  }
}

TEST(SocksServer, Socks5Refuses) {
  const std::pair<std::string, int> rows[] = {
      {request5(4, 1, "\x7F\x00\x00\x01"s), 7},
      {request5(0, 3, name5("x")), 7},
      {request5(255, 4, std::string(16, 'x')), 7},
      {"\x05\x01\x00\x02"s, 8},
      {"\x05\x01\x00\x00"s, 8},
      {"\x05\x01\x00\xFF"s, 8},
      {"\x04"s, 1},
      {request5(1, 3, name5("")), 1},
      {request5(1, 3, name5("a\0b"s)), 1},
      {request5(1, 3, name5("a\nb")), 1},
  };
  for (const auto& [request, code] : rows) {
    const auto outcome = talk(kHello5 + request + "behind");
    EXPECT_EQ(outcome.state, State::refused);
    EXPECT_EQ(outcome.sent, kChosen5 + refused5(code));
    EXPECT_EQ(outcome.left, "behind");
  }
}

TEST(SocksServer, UdpAssociate) {
  Server server;
  const auto request = kHello5 + request5(3, 1, "\0\0\0\0"s);
  EXPECT_EQ(server.feed(as_bytes(request)), request.size());
  ASSERT_EQ(server.state(), State::requested);
  EXPECT_EQ(server.request().command, Command::associate);
  EXPECT_EQ(server.request().where.host, "0.0.0.0");
  server.consume_output(server.output().size());
  server.associated({"192.0.2.1", 0x1234});
  EXPECT_EQ(server.state(), State::served);
  EXPECT_EQ(as_text(server.output()), "\x05\0\0\x01\xC0\x00\x02\x01\x12\x34"s);
  const auto socks4 = talk("\x04\x03\0\x50\x01\x02\x03\x04\0"s);
  EXPECT_EQ(socks4.state, State::refused) << "SOCKS 4 has none";
}

class SocksLogin : public ::testing::Test {
 protected:
  const std::string longest = std::string(255, 'p');
  const Accounts accounts = Accounts::parse("ann:secret\nb:" + longest + "\n").value();
};

TEST_F(SocksLogin, Socks5) {
  const std::string request = request5(1, 3, name5("x"));
  const auto outcome = talk("\x05\x02\x00\x02"s + login5("ann", "secret") + request + "early", &accounts);
  expect_request(outcome, {"x", 80});
  EXPECT_EQ(outcome.sent, "\x05\x02\x01\x00"s);
  EXPECT_EQ(outcome.left, "early");
  expect_request(talk("\x05\x01\x02"s + login5("b", longest) + request, &accounts), {"x", 80});
  for (const auto& login : {login5("ann", "wrong"), login5("", ""), login5("ann", ""), login5("", "secret"),
                            login5(std::string(255, 'u'), longest), "\x05"s, "\x02"s}) {
    const auto refused = talk("\x05\x01\x02"s + login + "behind", &accounts);
    EXPECT_EQ(refused.state, State::refused);
    EXPECT_EQ(refused.sent, "\x05\x02\x01\x01"s);
    EXPECT_EQ(refused.left, "behind");
  }
  EXPECT_EQ(talk(kHello5, &accounts).sent, "\x05\xFF"s);
  EXPECT_EQ(talk(kHello5, &accounts).why, "no user and password");
  // Without accounts a login is no part of the conversation.
  EXPECT_EQ(feed("\x05\x02\x00\x02"s + login5("ann", "secret"), 1, nullptr).sent, kChosen5 + refused5(1));
}

TEST_F(SocksLogin, Socks4HasNone) {
  const auto outcome = talk(socks4(1, "\x0A\x00\x00\x05"s, "ann"), &accounts);
  EXPECT_EQ(outcome.state, State::refused);
  EXPECT_EQ(outcome.sent, kRefused4);
}

TEST_F(SocksLogin, Http) {
  const std::string head = "CONNECT db:5432 HTTP/1.1\r\n";
  expect_request(talk(head + "proxy-authorization:  bAsIc YW5uOnNlY3JldA== \t\r\n\r\n", &accounts),
                 {"db", 5432});
  for (const std::string_view field :
       {"", "Authorization: Basic YW5uOnNlY3JldA==\r\n", "Proxy-Authorization: Basic\r\n",
        "Proxy-Authorization: Basic YW5uOnNlY3JldB==\r\n", "Proxy-Authorization: Basic YW5uOnNlY3JldA\r\n",
        "Proxy-Authorization: Basic YW5u\r\n", "Proxy-Authorization: Bearer YW5u\r\n",
        "Proxy-Authorization:\r\n"}) {
    const auto refused = talk(head + std::string(field) + "\r\n", &accounts);
    EXPECT_EQ(refused.state, State::refused) << field;
    EXPECT_TRUE(refused.sent.starts_with("HTTP/1.1 407 ")) << field;
    EXPECT_NE(refused.sent.find("\r\nProxy-Authenticate: Basic realm="), std::string::npos);
  }
}

TEST(HttpConnect, TheHeadAndNoMore) {
  const auto outcome =
      talk("CONNECT db.internal:5432 HTTP/1.1\r\nHost: db.internal:5432\r\nX: y\r\n\r\n\r\nearly");
  expect_request(outcome, {"db.internal", 5432});
  EXPECT_EQ(outcome.sent, "");
  EXPECT_EQ(outcome.left, "\r\nearly");
  expect_request(talk("CONNECT 10.0.0.5:1 HTTP/1.0\n\n"), {"10.0.0.5", 1});
  expect_request(talk("CONNECT [2001:db8::1]:443 HTTP/1.1\r\nProxy-Authorization: nonsense\r\n\r\n"),
                 {"2001:db8::1", 443});
}

TEST(HttpConnect, EmptyLinesInFrontAreNothing) {
  for (const std::string empty : {"\r\n", "\n", "\r\n\r\n", "\n\n\n\n"}) {
    expect_request(talk(empty + "CONNECT db:1 HTTP/1.1\r\n\r\n"), {"db", 1});
    EXPECT_EQ(talk(empty + kHello5).state, State::refused);
  }
  EXPECT_EQ(talk("\r\n\r\n\n").state, State::refused) << "so many are no mistake";
}

TEST(HttpConnect, Refuses) {
  const std::pair<std::string, int> rows[] = {
      {"GET http://db/ HTTP/1.1\r\n", 405},
      {"OPTIONS * HTTP/1.1\r\n", 405},
      {"connect db:1 HTTP/1.1\r\n", 405},  // methods tell cases apart
      {"PRI * HTTP/2.0\r\n", 405},
      {"CONNECT db:1 HTTP/2.0\r\n", 505},
      {"CONNECT db:1 HTTP/1.1 \r\n", 400},
      {"CONNECT db:1 http/1.1\r\n", 400},
      {"CONNECT  db:1 HTTP/1.1\r\n", 400},
      {"CONNECT db HTTP/1.1\r\n", 400},
      {"CONNECT db:0 HTTP/1.1\r\n", 400},
      {"CONNECT db:65536 HTTP/1.1\r\n", 400},
      {"CONNECT :1 HTTP/1.1\r\n", 400},
      {"CONNECT u@db:1 HTTP/1.1\r\n", 400},
      {"CONNECT db:1\r\n", 400},
      {"SSH-2.0-OpenSSH_9.2\r\n", 400},
      {"CONNECT db:1 HTTP/1.1\r\nno field\r\n", 400},
      {"CONNECT db:1 HTTP/1.1\r\nA: b\r\n folded\r\n", 400},
      {"CONNECT db:1 HTTP/1.1\r\nA : b\r\n", 400},
      {"CONNECT db:1 HTTP/1.1\r\nA: b\rC: d\r\n", 400},
      {"CONNECT db:1 HTTP/1.1\r\nA: \0\r\n"s, 400},
      {"CONNECT db:1 HTTP/1.1\r\nHost: db:1\r\nhost: other:1\r\n", 400},
      {"CONNECT db:1 HTTP/1.1\r\nProxy-Authorization: Basic a\r\nProxy-Authorization: Basic a\r\n", 400},
  };
  for (const auto& [text, status] : rows) {
    const auto outcome = talk(text + "behind");
    EXPECT_EQ(outcome.state, State::refused) << text;
    EXPECT_TRUE(outcome.sent.starts_with(fmt::format("HTTP/1.1 {} ", status))) << text << outcome.sent;
    EXPECT_TRUE(outcome.sent.ends_with("\r\nConnection: close\r\n\r\n"));
    EXPECT_EQ(outcome.sent.find("\r\nAllow: CONNECT\r\n") != std::string::npos, status == 405);
  }
}

TEST(HttpConnect, HeadsAreBounded) {
  const std::string line = "CONNECT db:1 HTTP/1.1\r\n";
  const std::string most = line + "A: " + std::string(16 * 1024 - line.size() - 7, 'x') + "\r\n\r\n";
  ASSERT_EQ(most.size(), 16u * 1024);
  EXPECT_EQ(feed(most, 1000, nullptr).state, State::requested);
  for (const auto& text : {std::string(100'000, 'C'), line + "A: " + std::string(20'000, 'x')}) {
    const auto outcome = feed(text, 1000, nullptr);
    EXPECT_TRUE(outcome.sent.starts_with("HTTP/1.1 431 "));
    EXPECT_EQ(outcome.left.size(), text.size() - 16 * 1024 - 1);
  }
  std::string many = line;
  for (int i = 0; i < 5000; ++i) many += "A: b\r\n";
  EXPECT_TRUE(feed(many, 1000, nullptr).sent.starts_with("HTTP/1.1 431 "));
}

TEST(SocksServer, GarbageIsNotAnswered) {
  for (int first = 0; first < 256; ++first) {
    const bool is_letter = (first >= 'A' && first <= 'Z') || (first >= 'a' && first <= 'z');
    if (first == 4 || first == 5 || is_letter) continue;
    const auto outcome = talk(byte(static_cast<std::size_t>(first)) + "\x01\x02");
    EXPECT_EQ(outcome.state, State::refused) << first;
    EXPECT_EQ(outcome.sent, "") << first;
  }
}

// The answers, by protocol.
std::string answer(std::string_view request, void (*act)(Server&)) {
  Server server;
  server.feed(as_bytes(request));
  server.consume_output(server.output().size());
  EXPECT_EQ(server.state(), State::requested);
  act(server);
  return std::string(as_text(server.output()));
}

const std::string kAsk4 = socks4(1, "\x0A\x00\x00\x05"s, "");
const std::string kAsk5 = kHello5 + request5(1, 1, "\x7F\x00\x00\x01"s);
const std::string kAskHttp = "CONNECT db:1 HTTP/1.1\r\n\r\n";

TEST(SocksReplies, Success) {
  const auto act = [](Server& server) { server.connected(); };
  EXPECT_EQ(answer(kAsk4, act), "\x00\x5A\0\0\0\0\0\0"s);
  EXPECT_EQ(answer(kAsk5, act), "\x05\x00\x00\x01\0\0\0\0\0\0"s);
  EXPECT_EQ(answer(kAskHttp, act), "HTTP/1.1 200 Connection established\r\n\r\n");
  const auto from_here = [](Server& server) { server.connected({"192.0.2.7", 258}); };
  EXPECT_EQ(answer(kAsk4, from_here), "\x00\x5A\x01\x02\xC0\x00\x02\x07"s);
  EXPECT_EQ(answer(kAsk5, from_here), "\x05\x00\x00\x01\xC0\x00\x02\x07\x01\x02"s);
  EXPECT_EQ(answer(kAskHttp, from_here), answer(kAskHttp, act));
}

template <Failure What>
void expect_codes(int code5, int status) {
  const auto act = [](Server& server) { server.refuse(What); };
  EXPECT_EQ(answer(kAsk4, act), kRefused4);
  EXPECT_EQ(answer(kAsk5, act), refused5(code5));
  EXPECT_TRUE(answer(kAskHttp, act).starts_with(fmt::format("HTTP/1.1 {} ", status)));
}

TEST(SocksReplies, EveryFailure) {
  expect_codes<Failure::general>(1, 502);
  expect_codes<Failure::prohibited>(2, 403);
  expect_codes<Failure::network_unreachable>(3, 502);
  expect_codes<Failure::host_unreachable>(4, 502);
  expect_codes<Failure::connection_refused>(5, 502);
  expect_codes<Failure::timed_out>(6, 504);
  expect_codes<Failure::unsupported>(7, 501);
  expect_codes<Failure::overloaded>(1, 503);
  EXPECT_NE(answer(kAskHttp, [](Server& server) { server.refuse(Failure::connection_refused); })
                .find("\r\nProxy-Status: culvert; error=connection_refused\r\n"),
            std::string::npos);
}

TEST(SocksReplies, Bind) {
  const auto both = [](Server& server) {
    server.listening({"192.0.2.1", 0x1234});
    EXPECT_EQ(server.state(), State::listening);
    server.arrived({"2001:db8::1", 2});
    EXPECT_EQ(server.state(), State::served);
  };
  EXPECT_EQ(answer(kHello5 + request5(2, 3, name5("peer")), both),
            "\x05\x00\x00\x01\xC0\x00\x02\x01\x12\x34"s +
                "\x05\x00\x00\x04\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x02"s);
  EXPECT_EQ(answer(socks4(2, "\x0A\x00\x00\x05"s, ""), both),
            "\x00\x5A\x12\x34\xC0\x00\x02\x01"s + "\x00\x5A\x00\x02\0\0\0\0"s);
  EXPECT_EQ(answer(kHello5 + request5(2, 3, name5("peer")),
                   [](Server& server) {
                     server.listening({"localhost", 80});
                     server.refuse(Failure::timed_out);
                   }),
            "\x05\x00\x00\x01\0\0\0\0\x00\x50"s + refused5(6));
}

}  // namespace
}  // namespace culvert::socks

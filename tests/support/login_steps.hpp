// SPDX-License-Identifier: Apache-2.0
// Steps of a client's login (RFC 4252, 4256) in a conversation: what both sides say, and what must be in it.
#pragma once

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/conversation.hpp"

namespace culvert::test::login {

using namespace culvert::ssh;  // NOLINT(google-build-using-namespace): steps speak of its messages alone
using Names = std::vector<std::string>;

inline void start(Conversation& c) {
  c.start_authentication();
  c.expect_event<AuthNext>([](AuthNext& e) {
    EXPECT_TRUE(e.methods.empty());
    EXPECT_FALSE(e.partial_success);
  });
}
inline void expect_request(Conversation& c, std::string_view method,
                           const std::function<void(ByteView fields)>& check = {}) {
  c.expect_message<UserauthRequestMessage>([&](const UserauthRequestMessage& m) {
    EXPECT_EQ(m.user, "somebody");
    EXPECT_EQ(m.service, "ssh-connection");
    EXPECT_EQ(m.method, method);
    if (check) check(m.method_fields.bytes);
  });
}
inline void refuse(Conversation& c, std::string_view methods, bool partial = false) {
  c.send(UserauthFailureMessage{NameList{methods}, partial});
}
inline void expect_next(Conversation& c, const Names& methods, bool partial = false) {
  c.expect_event<AuthNext>([&](AuthNext& e) {
    EXPECT_EQ(e.methods, methods);
    EXPECT_EQ(e.partial_success, partial);
  });
}
inline void succeed(Conversation& c) {
  c.command([](Session& s) { EXPECT_FALSE(s.is_authenticated()); });
  c.send(UserauthSuccessMessage{});
  c.expect_event<Authenticated>();
  c.command([](Session& s) { EXPECT_TRUE(s.is_authenticated()); });
  c.expect_silence();
}
inline void fails(Conversation& c, Errc code, std::string_view text) {
  c.expect_end(code, text);
  c.expect_payload([](ByteView payload) { EXPECT_EQ(payload[0], 1); });
}
inline void unexpected(Conversation& c) { fails(c, Errc::protocol, "does not belong to the authentication"); }

inline void try_none(Conversation& c) {
  c.command([](Session& s) { s.try_none(); });
  expect_request(c, "none", [](ByteView fields) { EXPECT_TRUE(fields.empty()); });
}
inline void try_password(Conversation& c, std::string_view password = "secret") {
  c.command([=](Session& s) { s.try_password(SecretBytes(password)); });
  expect_request(c, "password", [=](ByteView fields) {
    Bytes expected;
    Writer(expected).boolean(false).text(password);
    EXPECT_TRUE(std::ranges::equal(fields, expected));
  });
}
inline void try_interactive(Conversation& c) {
  c.command([](Session& s) { s.try_keyboard_interactive(); });
  expect_request(c, "keyboard-interactive",
                 [](ByteView fields) { EXPECT_TRUE(std::ranges::equal(fields, Bytes(8))); });
}
inline void ask_key(Conversation& c) {
  c.command([](Session& s) { s.try_public_key(user_key().public_key(), "ssh-ed25519", true); });
  expect_request(c, "publickey", [](ByteView fields) {
    const auto method = decode_fields<PublicKeyMethod>(fields);
    ASSERT_TRUE(method);
    EXPECT_FALSE(method->is_signed);
    EXPECT_EQ(method->algorithm, "ssh-ed25519");
    EXPECT_TRUE(std::ranges::equal(method->key, user_key().public_key().blob()));
    EXPECT_TRUE(method->rest.bytes.empty());
  });
}
inline void accept_key(Conversation& c) {
  c.send(UserauthPkOkMessage{"ssh-ed25519", user_key().public_key().blob()});
}
// Signs, and checks what is signed against what is sent.
inline void sign(Conversation& c) {
  Bytes signed_message;
  c.expect_event<UserSignatureWanted>([&](UserSignatureWanted& e) {
    EXPECT_TRUE(e.key == user_key().public_key());
    EXPECT_EQ(e.algorithm, "ssh-ed25519");
    signed_message = e.message;
  });
  c.command([&](Session& s) { s.user_signature(user_key().sign("ssh-ed25519", signed_message).value()); });
  c.expect_payload([&](ByteView payload) { EXPECT_TRUE(std::ranges::equal(payload, c.signed_request())); });
}

inline void show(Conversation& c, std::uint32_t count, std::initializer_list<std::string_view> texts) {
  Bytes prompts;
  for (const std::string_view text : texts) Writer(prompts).text(text).boolean(text.ends_with("(echo)"));
  c.send(UserauthInfoRequestMessage{"name", "instruction", "", count, Rest{prompts}});
}
inline void respond(Conversation& c, const Names& answers) {
  c.command([&](Session& s) {
    std::vector<SecretBytes> secrets;
    for (const std::string& answer : answers) secrets.emplace_back(std::string_view(answer));
    s.answer_prompts(secrets);
  });
  c.expect_message<UserauthInfoResponseMessage>([&](const UserauthInfoResponseMessage& m) {
    EXPECT_EQ(m.count, answers.size());
    Bytes expected;
    for (const std::string& answer : answers) Writer(expected).text(answer);
    EXPECT_TRUE(std::ranges::equal(m.answers.bytes, expected));
  });
}
inline void expect_prompts(Conversation& c, std::size_t count) {
  c.expect_event<PromptsShown>([=](PromptsShown& e) { EXPECT_EQ(e.prompts.size(), count); });
}

}  // namespace culvert::test::login

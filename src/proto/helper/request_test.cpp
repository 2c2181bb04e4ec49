// SPDX-License-Identifier: Apache-2.0
#include "proto/helper/request.hpp"

#include <gtest/gtest.h>

namespace culvert::helper {
namespace {

template <class T>
T round_trip(const T& request) {
  return std::get<T>(*decode_request(encode(request)));
}

TEST(HelperRequest, ComesOutAsItWentIn) {
  const auto sign = round_trip(SignRequest{2, "ssh-ed25519", {1, 2, 3}});
  EXPECT_EQ(sign.key, 2u);
  EXPECT_EQ(sign.algorithm, "ssh-ed25519");
  EXPECT_EQ(sign.message, (Bytes{1, 2, 3}));
  EXPECT_EQ(round_trip(OpenRequest{"/etc/culvert/keys"}).path, "/etc/culvert/keys");
  for (const char* text : {"127.0.0.1", "fe80::1"}) {
    const auto bind = round_trip(BindRequest{*IpAddress::parse(text), 7, 443});
    EXPECT_EQ(bind.address.text(), text);
    EXPECT_EQ(bind.scope, 7u);
    EXPECT_EQ(bind.port, 443);
  }
}

TEST(HelperRequest, WhatIsNoRequestIsRefused) {
  for (const Request& request : {Request(SignRequest{2, "ssh-ed25519", {1, 2, 3}}),
                                 Request(OpenRequest{"/a"}), Request(BindRequest{IpAddress(), 0, 1})}) {
    Bytes message = encode(request);
    for (std::size_t length = 0; length < message.size(); ++length)
      EXPECT_FALSE(decode_request(ByteView(message).first(length))) << length;
    message.push_back(0);
    EXPECT_FALSE(decode_request(message)) << "something behind it";
    message.front() = 0;
    EXPECT_FALSE(decode_request(message)) << "no such call";
  }
  EXPECT_FALSE(decode_request(encode(OpenRequest{""})));
  EXPECT_FALSE(decode_request(encode(OpenRequest{std::string("/a\0b", 4)})));
}

TEST(HelperReply, ComesOutAsItWentIn) {
  EXPECT_EQ(*decode_reply(encode_reply(Bytes{4, 5})), (Bytes{4, 5}));
  EXPECT_TRUE(decode_reply(encode_reply(Bytes()))->empty());
  const auto failed = decode_reply(encode_reply(fail(Errc::system, "no", -13)));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Errc::system);
  EXPECT_EQ(failed.error().message, "no");
  EXPECT_EQ(failed.error().detail, -13);
}

TEST(HelperReply, WhatIsNoReplyIsMalformed) {
  for (Bytes message : {encode_reply(Bytes{4, 5}), encode_reply(fail(Errc::system, "no"))}) {
    for (std::size_t length = 0; length < message.size(); ++length) {
      const auto reply = decode_reply(ByteView(message).first(length));
      ASSERT_FALSE(reply);
      EXPECT_EQ(reply.error().code, Errc::malformed);
    }
    message.push_back(0);
    EXPECT_EQ(decode_reply(message).error().code, Errc::malformed);
  }
  EXPECT_EQ(decode_reply(Bytes{1, 250, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}).error().code, Errc::malformed);
}

}  // namespace
}  // namespace culvert::helper

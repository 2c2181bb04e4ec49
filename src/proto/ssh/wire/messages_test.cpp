// SPDX-License-Identifier: Apache-2.0
#include "proto/ssh/wire/messages.hpp"

#include <gtest/gtest.h>

namespace culvert::ssh {
namespace {

// Gives every kind of field a value that is not the default, so that a field left out of fields() shows.
struct Filler {
  const Bytes blob = {0xDE, 0xAD, 0xBE, 0xEF, 0x01};
  void fill(std::uint8_t& v) const { v = 0x5A; }
  void fill(bool& v) const { v = true; }
  void fill(std::uint32_t& v) const { v = 0x01020304; }
  void fill(std::uint64_t& v) const { v = 0x0102030405060708; }
  void fill(std::string_view& v) const { v = "some,text"; }
  void fill(ByteView& v) const { v = blob; }
  void fill(NameList& v) const { v.text = "one,two,three"; }
  void fill(Mpint& v) const { v.magnitude = blob; }
  void fill(Rest& v) const { v.bytes = {}; }  // a rest takes every truncation and extra byte: tested apart
  void fill(Cookie& v) const { v.fill(0x77); }
};

template <class Message>
constexpr bool kHasRest = std::apply(
    [](auto... field) {
      return (std::is_same_v<std::remove_cvref_t<decltype(Message().*field)>, Rest> || ...);
    },
    Message::fields());

template <class Message>
class EveryMessage : public ::testing::Test {};

template <class Tuple>
struct Once;
template <class... Messages>
struct Once<std::tuple<Messages...>> {
  using type = ::testing::Types<Messages...>;
};
TYPED_TEST_SUITE(EveryMessage, typename Once<AllMessages>::type);

TYPED_TEST(EveryMessage, DecodesToWhatWasEncoded) {
  const Filler filler;
  TypeParam message{};
  std::apply([&](auto... field) { (filler.fill(message.*field), ...); }, TypeParam::fields());
  const Bytes payload = encoded(message);
  EXPECT_EQ(payload[0], TypeParam::kNumber);

  const auto back = decode<TypeParam>(payload);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(encoded(*back), payload);
}

TYPED_TEST(EveryMessage, RefusesEveryTruncationAndExtraByte) {
  const Filler filler;
  TypeParam message{};
  std::apply([&](auto... field) { (filler.fill(message.*field), ...); }, TypeParam::fields());
  Bytes payload = encoded(message);
  for (std::size_t length = 0; length < payload.size(); ++length) {
    EXPECT_FALSE(decode<TypeParam>(ByteView(payload).first(length))) << "cut to " << length;
  }
  payload.push_back(0);
  EXPECT_EQ(decode<TypeParam>(payload).has_value(), kHasRest<TypeParam>);
}

TYPED_TEST(EveryMessage, RefusesAnotherNumber) {
  const Filler filler;
  TypeParam message{};
  std::apply([&](auto... field) { (filler.fill(message.*field), ...); }, TypeParam::fields());
  Bytes payload = encoded(message);
  payload[0] ^= 0x80;
  EXPECT_FALSE(decode<TypeParam>(payload));
}

TEST(Messages, RestCarriesWhatTheTypeDefines) {
  Bytes inner;
  encode_fields(inner, TcpipOpen{"db.internal", 5432, "127.0.0.1", 40000});
  const Bytes payload = encoded(ChannelOpenMessage{"direct-tcpip", 7, 65536, 32768, Rest{inner}});
  const auto open = decode<ChannelOpenMessage>(payload);
  ASSERT_TRUE(open);
  const auto target = decode_fields<TcpipOpen>(open->type_fields.bytes);
  ASSERT_TRUE(target);
  EXPECT_EQ(target->host, "db.internal");
  EXPECT_EQ(target->port, 5432u);
  EXPECT_EQ(target->origin_port, 40000u);
}

TEST(Messages, MpintMayNotBeNegativeOrHuge) {
  const Bytes negative = {30, 0, 0, 0, 1, 0x80};
  EXPECT_FALSE(decode<KexMpintInitMessage>(negative));
  Bytes huge = {30};
  Writer(huge).string(Bytes(2049, 0x01));
  EXPECT_FALSE(decode<KexMpintInitMessage>(huge));
}

}  // namespace
}  // namespace culvert::ssh

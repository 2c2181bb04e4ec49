// SPDX-License-Identifier: Apache-2.0
#include "proto/gateway/client.hpp"

#include <map>
#include <memory>

#include <gtest/gtest.h>

#include "base/wire.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/seeded_random.hpp"

namespace culvert::gateway {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const IpAddress kHere = *IpAddress::parse("192.168.1.20");
const IpAddress kOutside = *IpAddress::parse("203.0.113.5");
constexpr Nonce kNonce = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

Bytes pcp_answer(const Bytes& request, std::uint32_t epoch, std::uint32_t lifetime, std::uint8_t result = 0,
                 std::uint16_t outside = 0, const IpAddress& address = kOutside) {
  Bytes out;
  Writer writer(out);
  writer.byte(2).byte(0x81).byte(0).byte(result).u32(lifetime).u32(epoch).bytes(Bytes(12));
  writer.bytes(ByteView(request).subspan(24, 18));  // nonce, protocol, inside
  if (outside != 0) {
    writer.u16(outside);
  } else {
    writer.bytes(ByteView(request).subspan(42, 2));
  }
  writer.u64(0).u16(0).u16(0xFFFF).bytes(address.bytes());
  return out;
}

Bytes pcp_announcement(std::uint32_t epoch) {
  Bytes out;
  Writer(out).byte(2).byte(0x80).u16(0).u32(0).u32(epoch).bytes(Bytes(12));
  return out;
}

Bytes nat_pmp_address(std::uint32_t epoch, const IpAddress& address = kOutside, std::uint16_t result = 0) {
  Bytes out;
  Writer(out).byte(0).byte(0x80).u16(result).u32(epoch).bytes(address.bytes());
  return out;
}

Bytes nat_pmp_mapping(std::uint16_t inside, std::uint16_t outside, std::uint32_t epoch,
                      std::uint32_t lifetime, std::uint16_t result = 0) {
  Bytes out;
  Writer(out).byte(0).byte(0x82).u16(result).u32(epoch).u16(inside).u16(outside).u32(lifetime);
  return out;
}

class GatewayClient : public ::testing::Test {
 protected:
  Client& make(Dialect dialect, std::uint32_t lifetime = 7200) {
    client_ = std::make_unique<Client>(ClientOptions{dialect, kHere, lifetime}, random_);
    return *client_;
  }
  [[nodiscard]] Instant now() const { return clock_.now(); }
  // What leaves now.
  std::vector<Bytes> sent() {
    client_->advance(now());
    std::vector<Bytes> all;
    while (auto one = client_->next_output()) all.push_back(std::move(*one));
    return all;
  }
  // Goes to the next moment at which something leaves; how long that took. Nothing if it takes longer than a
  // day.
  std::pair<Duration, std::vector<Bytes>> next_sent() {
    const Instant from = now();
    while (client_->next_deadline() - from <= hours(24)) {
      clock_.advance_to(client_->next_deadline());
      auto all = sent();
      if (!all.empty()) return {now() - from, std::move(all)};
    }
    return {};
  }
  std::vector<Event> events() {
    std::vector<Event> all;
    while (const auto one = client_->next_event()) all.push_back(*one);
    return all;
  }
  // A PCP mapping that is open since now.
  Bytes opened(std::uint32_t epoch = 1000, std::uint32_t lifetime = 7200) {
    client_->add(Protocol::tcp, 8080, 8080, kNonce, now());
    const auto requests = sent();
    EXPECT_EQ(requests.size(), 1U);
    client_->receive(pcp_answer(requests.at(0), epoch, lifetime), now());
    EXPECT_EQ(events().size(), 1U);
    return requests.at(0);
  }

  test::ManualClock clock_;
  test::SeededRandom random_{1};
  std::unique_ptr<Client> client_;
};

TEST_F(GatewayClient, PcpAsksAndIsGranted) {
  Client& client = make(Dialect::pcp);
  client.add(Protocol::tcp, 8080, 80, kNonce, now());
  const auto requests = sent();
  ASSERT_EQ(requests.size(), 1U);
  const Bytes& request = requests[0];
  ASSERT_EQ(request.size(), 60U);
  EXPECT_EQ(Bytes(request.begin(), request.begin() + 8), (Bytes{2, 1, 0, 0, 0, 0, 0x1C, 0x20}));
  EXPECT_EQ(Bytes(request.begin() + 18, request.begin() + 24), (Bytes{0xFF, 0xFF, 192, 168, 1, 20}));
  EXPECT_EQ(Bytes(request.begin() + 36, request.begin() + 44), (Bytes{6, 0, 0, 0, 0x1F, 0x90, 0, 80}));
  EXPECT_EQ(Bytes(request.begin() + 54, request.end()), (Bytes{0xFF, 0xFF, 0, 0, 0, 0}));
  EXPECT_FALSE(client.was_answered());

  client.receive(pcp_answer(request, 5, 3600, 0, 1080), now());
  EXPECT_TRUE(client.was_answered());
  EXPECT_EQ(events(), (std::vector<Event>{Granted{0, kOutside, 1080, hours(1)}}));
}

TEST_F(GatewayClient, PcpAsksAgainWithLongerPauses) {
  Client& client = make(Dialect::pcp);
  client.add(Protocol::udp, 53, 53, kNonce, now());
  ASSERT_EQ(sent().size(), 1U);
  Duration mean = seconds(3), last = seconds(3);
  for (int i = 0; i < 12; ++i) {
    const auto [after, requests] = next_sent();
    ASSERT_EQ(requests.size(), 1U);
    EXPECT_GE(after, mean - mean / 10);
    EXPECT_LE(after, mean + mean / 10 + seconds(1));
    last = after;
    mean = std::min<Duration>(2 * last, seconds(1024));
  }
  EXPECT_GE(last, seconds(921));
}

TEST_F(GatewayClient, NatPmpAsksNineTimesInTwoMinutes) {
  Client& client = make(Dialect::nat_pmp);
  client.add(Protocol::tcp, 80, 80, kNonce, now());
  EXPECT_EQ(sent(), (std::vector<Bytes>{{0, 0}}));
  const Instant begin = now();
  for (int i = 0; i < 8; ++i) EXPECT_EQ(next_sent().second, (std::vector<Bytes>{{0, 0}}));
  EXPECT_GE(now() - begin, seconds(40));
  EXPECT_LE(now() - begin, seconds(100));
}

TEST_F(GatewayClient, NatPmpAsksForTheAddressFirst) {
  Client& client = make(Dialect::nat_pmp);
  client.add(Protocol::tcp, 80, 8080, kNonce, now());
  client.add(Protocol::udp, 81, 81, kNonce, now());
  EXPECT_EQ(sent(), (std::vector<Bytes>{{0, 0}}));
  client.receive(nat_pmp_address(1), now());
  // One after another.
  EXPECT_EQ(sent(), (std::vector<Bytes>{{0, 2, 0, 0, 0, 80, 0x1F, 0x90, 0, 0, 0x1C, 0x20}}));
  client.receive(nat_pmp_mapping(80, 9000, 1, 100), now());
  EXPECT_EQ(events(), (std::vector<Event>{Granted{0, kOutside, 9000, seconds(100)}}));
  EXPECT_EQ(sent(), (std::vector<Bytes>{{0, 1, 0, 0, 0, 81, 0, 81, 0, 0, 0x1C, 0x20}}));
}

TEST_F(GatewayClient, NatPmpOneThatIsSilentDoesNotStopTheOthers) {
  Client& client = make(Dialect::nat_pmp);
  client.add(Protocol::tcp, 80, 80, kNonce, now());
  client.add(Protocol::tcp, 81, 81, kNonce, now());
  (void)sent();
  client.receive(nat_pmp_address(1), now());
  ASSERT_EQ(sent().size(), 1U);
  const Instant begin = now();
  bool second_asked = false;
  while (!second_asked && now() - begin < seconds(3)) {
    for (const Bytes& request : next_sent().second) second_asked |= request.size() == 12 && request[5] == 81;
  }
  EXPECT_TRUE(second_asked);
}

TEST_F(GatewayClient, NatPmpWithoutAnAddressOutsideIsRefused) {
  Client& client = make(Dialect::nat_pmp);
  client.add(Protocol::tcp, 80, 80, kNonce, now());
  (void)sent();
  client.receive(nat_pmp_address(1, IpAddress(), 3), now());
  EXPECT_EQ(events(), (std::vector<Event>{Refused{0, Status::network_failure, seconds(30)}}));
  const auto [after, requests] = next_sent();
  EXPECT_EQ(after, seconds(30));
  EXPECT_EQ(requests, (std::vector<Bytes>{{0, 0}}));
}

TEST_F(GatewayClient, RenewsAtHalfLife) {
  Client& client = make(Dialect::pcp);
  const Bytes request = opened();
  const auto [after, renewal] = next_sent();
  EXPECT_GE(after, hours(1));
  EXPECT_LE(after, minutes(75));
  ASSERT_EQ(renewal.size(), 1U);
  EXPECT_TRUE(std::equal(renewal[0].begin(), renewal[0].begin() + 44, request.begin()));  // the same nonce
  EXPECT_EQ(Bytes(renewal[0].end() - 4, renewal[0].end()), copy_of(kOutside.bytes()));
  client.receive(pcp_answer(renewal[0], 1000 + 3600 + 500, 7200), now());
  ASSERT_EQ(events().size(), 1U);
  EXPECT_GE(next_sent().first, hours(1));
}

TEST_F(GatewayClient, ARenewalWithoutAnAnswerIsAskedForUntilItIsLost) {
  Client& client = make(Dialect::pcp);
  (void)opened(1000, 120);
  const Instant begin = now();
  unsigned renewals = 0;
  Instant last = begin;
  while (client.next_deadline() - begin < seconds(120)) {
    clock_.advance_to(client.next_deadline());
    renewals += static_cast<unsigned>(sent().size());
    if (last != begin) EXPECT_GE(now() - last, seconds(4));
    last = now();
    ASSERT_LT(renewals, 100U);
  }
  EXPECT_GE(renewals, 3U);
  EXPECT_TRUE(events().empty());
  clock_.advance_to(client.next_deadline());
  EXPECT_EQ(now() - begin, seconds(120));
  EXPECT_EQ(sent().size(), 1U);  // from the beginning
  EXPECT_EQ(events(), (std::vector<Event>{Lost{0}}));
}

TEST_F(GatewayClient, ARestartedRouterIsAskedForEverythingAgain) {
  Client& client = make(Dialect::pcp);
  const Bytes request = opened(1000);
  clock_.advance(seconds(100));
  client.announced(pcp_announcement(1100), now());
  EXPECT_TRUE(sent().empty());
  EXPECT_TRUE(events().empty());
  clock_.advance(seconds(10));
  client.announced(pcp_announcement(0), now());
  EXPECT_EQ(events(), (std::vector<Event>{Restarted{}}));
  const auto [after, requests] = next_sent();
  EXPECT_LE(after, seconds(5));
  ASSERT_EQ(requests.size(), 1U);
  client.receive(pcp_answer(requests[0], 5, 7200), now());
  EXPECT_EQ(events(), (std::vector<Event>{Granted{0, kOutside, 8080, hours(2)}}));
}

TEST_F(GatewayClient, OneWhoseAnswersNeverFitIsAskedNowAndThen) {
  constexpr std::size_t kPorts = 30;
  Client& client = make(Dialect::pcp, 600);
  for (std::uint16_t port = 1; port <= kPorts; ++port) client.add(Protocol::tcp, port, port, kNonce, now());
  const Instant begin = now();
  std::uint32_t epoch = 0;
  std::size_t requests = 0, restarts = 0;
  constexpr std::size_t kMost = 61U * (kPorts + 2);
  for (auto all = sent(); now() - begin < std::chrono::minutes(30) && requests <= kMost;
       all = next_sent().second) {
    for (const Bytes& request : all) client.receive(pcp_answer(request, epoch += 100'000, 600), now());
    requests += all.size();
    for (const Event& event : events()) {
      EXPECT_FALSE(std::holds_alternative<Lost>(event));
      if (std::holds_alternative<Restarted>(event)) ++restarts;
    }
  }
  EXPECT_GE(restarts, 2U);
  EXPECT_LE(restarts, 61U);
  EXPECT_LE(requests, kMost);
}

TEST_F(GatewayClient, TheEpochInAnAnswerToAnotherIsNothing) {
  Client& client = make(Dialect::pcp);
  const Bytes request = opened(1000);
  Bytes other = pcp_answer(request, 0, 7200);
  other[24] ^= 1;
  client.receive(other, now());
  EXPECT_TRUE(events().empty());
  EXPECT_TRUE(sent().empty());
}

TEST_F(GatewayClient, AFloodOfAnnouncementsNeitherDelaysNorShows) {
  Client& client = make(Dialect::pcp);
  (void)opened(1000);
  std::size_t told = 0, requests = 0;
  for (int i = 0; i < 60; ++i) {
    client.announced(pcp_announcement(i % 2 == 0 ? 0 : 100'000), now());
    told += events().size();
    requests += sent().size();
    clock_.advance(milliseconds(100));
  }
  EXPECT_EQ(told, 1U);
  EXPECT_GE(requests, 1U);  // within five seconds
  EXPECT_LE(requests, 2U);
}

TEST_F(GatewayClient, AnAnnouncementOfARouterThatNeverAnsweredIsNothing) {
  Client& client = make(Dialect::pcp);
  client.add(Protocol::tcp, 80, 80, kNonce, now());
  (void)sent();
  client.announced(pcp_announcement(9), now());
  client.announced(pcp_announcement(0), now());
  EXPECT_FALSE(client.was_answered());
  EXPECT_TRUE(events().empty());
}

TEST_F(GatewayClient, NatPmpTellsOfAnotherAddressOutside) {
  Client& client = make(Dialect::nat_pmp);
  client.add(Protocol::tcp, 80, 80, kNonce, now());
  (void)sent();
  client.receive(nat_pmp_address(1), now());
  (void)sent();
  client.receive(nat_pmp_mapping(80, 80, 1, 7200), now());
  (void)events();
  clock_.advance(seconds(50));
  const IpAddress other = *IpAddress::parse("198.51.100.7");
  client.announced(nat_pmp_address(51, other), now());
  EXPECT_TRUE(events().empty()) << "anybody can say that";
  EXPECT_EQ(sent(), (std::vector<Bytes>{{0, 0}}));
  client.receive(nat_pmp_address(51, other), now());
  EXPECT_EQ(events(), (std::vector<Event>{Granted{0, other, 80, seconds(7150)}}));
  client.announced(nat_pmp_address(51, other), now());
  EXPECT_TRUE(sent().empty());
  client.announced(nat_pmp_address(51), now());
  EXPECT_TRUE(sent().empty()) << "once a second";
  clock_.advance(seconds(1));
  EXPECT_EQ(sent().size(), 1U);
}

TEST_F(GatewayClient, ErrorsLastAsLongAsTheRouterSaysWithinLimits) {
  for (const auto& [said, expected] :
       std::map<std::uint32_t, Duration>{{0, seconds(30)}, {300, seconds(300)}, {0xFFFFFFFF, hours(1)}}) {
    Client& client = make(Dialect::pcp);
    client.add(Protocol::tcp, 80, 80, kNonce, now());
    const auto requests = sent();
    client.receive(pcp_answer(requests.at(0), 1, said, 8), now());
    EXPECT_EQ(events(), (std::vector<Event>{Refused{0, Status::no_resources, expected}}));
    EXPECT_EQ(next_sent().first, expected);
  }
}

TEST_F(GatewayClient, AGrantForNoTimeIsARefusal) {
  Client& client = make(Dialect::pcp);
  client.add(Protocol::tcp, 80, 80, kNonce, now());
  const auto requests = sent();
  client.receive(pcp_answer(requests.at(0), 1, 0), now());
  EXPECT_EQ(events(), (std::vector<Event>{Refused{0, Status::too_short, minutes(2)}}));
}

TEST_F(GatewayClient, AGrantForASecondIsARefusalToo) {
  Client& client = make(Dialect::pcp);
  client.add(Protocol::tcp, 80, 80, kNonce, now());
  const auto requests = sent();
  client.receive(pcp_answer(requests.at(0), 1, 1), now());
  EXPECT_EQ(events(), (std::vector<Event>{Refused{0, Status::too_short, minutes(2)}}));
  EXPECT_EQ(next_sent().first, minutes(2));
  client.receive(pcp_answer(requests.at(0), 121, 8), now());
  EXPECT_EQ(events(), (std::vector<Event>{Granted{0, kOutside, 80, seconds(8)}}));
}

TEST_F(GatewayClient, AGrantAtNoAddressIsARefusal) {
  for (const char* nothing : {"::", "0.0.0.0"}) {
    Client& client = make(Dialect::pcp);
    client.add(Protocol::tcp, 80, 80, kNonce, now());
    const auto requests = sent();
    Bytes answer = pcp_answer(requests.at(0), 1, 7200, 0, 0, *IpAddress::parse("0.0.0.0"));
    if (nothing[0] == ':') answer[answer.size() - 6] = answer[answer.size() - 5] = 0;
    client.receive(answer, now());
    EXPECT_EQ(events(), (std::vector<Event>{Refused{0, Status::network_failure, minutes(2)}})) << nothing;
  }
}

TEST_F(GatewayClient, ALongLifetimeIsToldAndRenewedTwiceADay) {
  Client& client = make(Dialect::pcp, 604800);
  client.add(Protocol::tcp, 80, 80, kNonce, now());
  const auto requests = sent();
  client.receive(pcp_answer(requests.at(0), 1, 604800), now());
  EXPECT_EQ(events(), (std::vector<Event>{Granted{0, kOutside, 80, hours(168)}}));
  for (int i = 0; i < 10; ++i) {  // nobody answers
    const auto [after, renewal] = next_sent();
    EXPECT_EQ(renewal.size(), 1U);
    EXPECT_GE(after, hours(12));
    EXPECT_LE(after, hours(15));
  }
  EXPECT_TRUE(events().empty());
}

TEST_F(GatewayClient, AnswersToOthersChangeNothing) {
  Client& client = make(Dialect::pcp);
  client.add(Protocol::tcp, 80, 80, kNonce, now());
  const auto requests = sent();
  const Bytes good = pcp_answer(requests.at(0), 1, 7200);
  for (const std::size_t place : {0U, 1U, 24U, 36U, 40U}) {
    Bytes other = good;
    other[place] ^= 0x10;
    client.receive(other, now());
  }
  for (std::size_t length = 0; length < good.size(); ++length) {
    client.receive(ByteView(good).first(length), now());
  }
  Bytes longer = good;
  longer.resize(1104);
  client.receive(longer, now());
  EXPECT_TRUE(events().empty());
  EXPECT_FALSE(client.was_answered());
  client.receive(good, now());
  EXPECT_EQ(events().size(), 1U);
  EXPECT_TRUE(client.was_answered());
}

TEST_F(GatewayClient, KnowsARouterOfNatPmp) {
  Client& client = make(Dialect::pcp);
  client.add(Protocol::tcp, 80, 80, kNonce, now());
  (void)sent();
  client.receive(Bytes{0, 0x81, 0, 1, 0, 0, 0, 9}, now());
  EXPECT_EQ(events(), (std::vector<Event>{WrongDialect{}}));
  EXPECT_EQ(client.next_deadline(), kNever);
  client.remove(0, now());
  EXPECT_EQ(events(), (std::vector<Event>{Removed{0}}));
}

TEST_F(GatewayClient, WhoHasGrantedDoesNotStopUnderstanding) {
  Client& client = make(Dialect::pcp);
  (void)opened();
  client.receive(Bytes{0, 0x81, 0, 1, 0, 0, 0, 9}, now());
  EXPECT_TRUE(events().empty());
}

TEST_F(GatewayClient, RemovesWithTheSameNonce) {
  Client& client = make(Dialect::pcp);
  const Bytes request = opened();
  client.remove(0, now());
  const auto requests = sent();
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(Bytes(requests[0].begin() + 4, requests[0].begin() + 8), (Bytes{0, 0, 0, 0}));
  EXPECT_TRUE(std::equal(request.begin() + 24, request.begin() + 42, requests[0].begin() + 24));
  // What was granted before is no answer to that.
  client.receive(pcp_answer(request, 1001, 7200), now());
  EXPECT_TRUE(events().empty());
  client.receive(pcp_answer(requests[0], 1001, 0), now());
  EXPECT_EQ(events(), (std::vector<Event>{Removed{0}}));
  EXPECT_EQ(client.next_deadline(), kNever);
}

TEST_F(GatewayClient, OneThatTheRouterDoesNotEndRunsOut) {
  Client& client = make(Dialect::pcp);
  (void)opened();
  client.remove(0, now());
  const auto requests = sent();
  client.receive(pcp_answer(requests.at(0), 1000, 30, 2), now());
  EXPECT_TRUE(events().empty());
  const auto shorter = sent();
  ASSERT_EQ(shorter.size(), 1U);
  EXPECT_EQ(Bytes(shorter[0].begin() + 4, shorter[0].begin() + 8), (Bytes{0, 0, 0, 1}));
  client.receive(pcp_answer(shorter[0], 1000, 120), now());
  EXPECT_EQ(events(), (std::vector<Event>{Removed{.mapping = 0, .left = seconds(120)}}));
}

TEST_F(GatewayClient, OneThatTheRouterKeepsIsToldWithItsReason) {
  Client& client = make(Dialect::pcp);
  (void)opened();
  client.remove(0, now());
  for (int i = 0; i < 2; ++i) {
    const auto requests = sent();
    ASSERT_EQ(requests.size(), 1U);
    client.receive(pcp_answer(requests[0], 1000, 30, 2), now());
  }
  EXPECT_EQ(events(), (std::vector<Event>{Removed{.mapping = 0, .status = Status::not_authorized}}));
}

TEST_F(GatewayClient, OneThatWasNeverAskedForIsGoneAtOnce) {
  Client& client = make(Dialect::nat_pmp);
  client.add(Protocol::tcp, 80, 80, kNonce, now());
  client.remove(0, now());
  EXPECT_EQ(events(), (std::vector<Event>{Removed{0}}));
}

TEST_F(GatewayClient, NatPmpRemovalHasNoPortOutside) {
  Client& client = make(Dialect::nat_pmp);
  client.add(Protocol::tcp, 80, 80, kNonce, now());
  (void)sent();
  client.receive(nat_pmp_address(1), now());
  (void)sent();
  client.receive(nat_pmp_mapping(80, 80, 1, 7200), now());
  (void)events();
  client.remove(0, now());
  EXPECT_EQ(sent(), (std::vector<Bytes>{{0, 2, 0, 0, 0, 80, 0, 0, 0, 0, 0, 0}}));
}

TEST_F(GatewayClient, AThousandPortsAreAskedForInTurns) {
  Client& client = make(Dialect::pcp);
  for (std::uint16_t port = 1; port <= 1000; ++port) client.add(Protocol::tcp, port, port, kNonce, now());
  std::size_t granted = 0;
  for (int round = 0; round < 200 && granted < 1000; ++round) {
    const auto requests = sent();
    EXPECT_LE(requests.size(), 16U);
    for (const Bytes& request : requests) client.receive(pcp_answer(request, 1, 7200), now());
    granted += events().size();
  }
  EXPECT_EQ(granted, 1000U);
}

}  // namespace
}  // namespace culvert::gateway

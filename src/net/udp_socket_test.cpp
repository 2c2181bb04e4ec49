// SPDX-License-Identifier: Apache-2.0
#include "net/udp_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>

#include <gtest/gtest.h>

#include "net/listen_error.hpp"
#include "net/udp_inbox.hpp"
#include "net/udp_outbox.hpp"
#include "tests/support/udp_peer.hpp"

namespace culvert::net {
namespace {

using testing::udp_at;
using testing::UdpPeer;

// Each datagram of what has come.
std::vector<std::string> datagrams(const UdpInbox& inbox) {
  std::vector<std::string> all;
  for (const UdpArrival& arrival : inbox.arrivals()) {
    const std::size_t before = all.size();
    ByteView rest = arrival.bytes;
    do {
      const ByteView one = rest.first(std::min(rest.size(), arrival.segment));
      all.emplace_back(as_text(one));
      rest = rest.subspan(one.size());
    } while (!rest.empty());
    EXPECT_EQ(arrival.datagrams(), all.size() - before);
  }
  return all;
}

std::vector<std::string> receive_all(int socket) {
  UdpInbox inbox;
  std::vector<std::string> all;
  while (inbox.receive(socket).bytes > 0) {
    const auto some = datagrams(inbox);
    all.insert(all.end(), some.begin(), some.end());
    inbox.clear();
  }
  return all;
}

UdpSocket connected_to(const UdpListener& listener) { return connect_udp(listener.local).value(); }

TEST(UdpSocket, ListensAtAPortThatNobodyHas) {
  const auto first = listen_udp(udp_at("127.0.0.1"));
  ASSERT_TRUE(first);
  EXPECT_NE(first->local.port(), 0);
  EXPECT_FALSE(first->any_address);
  EXPECT_EQ(first->name(), "udp 127.0.0.1:" + std::to_string(first->local.port()));
  const auto second = listen_udp(first->local);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "cannot listen on " + first->name() +
                                        ": address already in use (this culvert listens there already)");
  auto other = first->local;
  other.port(1);
  EXPECT_EQ(cannot_listen(other, EADDRINUSE).error().message,
            "cannot listen on udp 127.0.0.1:1: address already in use ('ss -uanp sport = :1' shows by whom)");
  const auto elsewhere = listen_udp(udp_at("192.0.2.1"));
  ASSERT_FALSE(elsewhere);
  EXPECT_EQ(elsewhere.error().message,
            "cannot listen on udp 192.0.2.1:0: no interface has this address ('ip address' shows those that "
            "there are)");
}

TEST(UdpSocket, SomeShareAPortAndEachClientStaysWithOne) {
  const auto first = listen_shared_udp(udp_at("127.0.0.1"), Shares::first).value();
  const auto another = listen_shared_udp(first.local, Shares::another).value();
  EXPECT_EQ(another.local, first.local);
  constexpr int kClients = 64;  // all with the same one: once in 2^63
  std::vector<UdpPeer> clients(kClients);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < kClients; ++i) clients[i].send(std::to_string(i), first.local);
  }
  auto of_first = receive_all(first.socket.fd.get());
  auto of_another = receive_all(another.socket.fd.get());
  EXPECT_EQ(of_first.size() + of_another.size(), 2 * kClients);
  for (auto* heard : {&of_first, &of_another}) {
    EXPECT_FALSE(heard->empty());
    std::ranges::sort(*heard);
    for (std::size_t i = 0; i + 1 < heard->size(); i += 2) EXPECT_EQ((*heard)[i], (*heard)[i + 1]);
  }
}

TEST(UdpSocket, WhoDoesNotShareFromTheStartIsRefusedAtASharedPort) {
  const auto first = listen_shared_udp(udp_at("127.0.0.1"), Shares::first).value();
  const auto another = listen_shared_udp(first.local, Shares::another).value();
  for (const Shares shares : {Shares::nothing, Shares::first}) {
    const auto refused = listen_shared_udp(first.local, shares);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().detail, EADDRINUSE);
  }
}

TEST(UdpSocket, ARunArrivesAsItWas) {
  auto listener = listen_udp(udp_at("127.0.0.1")).value();
  auto socket = connected_to(listener);
  const std::vector<std::string> sent = {"aaaa", "bbbb", "cccc", "dd", "eeee", "", "ffff", "g"};
  UdpOutbox outbox;
  for (const auto& one : sent) outbox.add(as_bytes(one), one.size());
  const auto result = outbox.flush(socket);
  EXPECT_EQ(result.datagrams, 8);
  EXPECT_EQ(result.bytes, 23);
  EXPECT_EQ(result.dropped, 0);
  EXPECT_TRUE(outbox.empty());

  UdpInbox inbox;
  ASSERT_FALSE(inbox.receive(listener.socket.fd.get()).failed());
  EXPECT_EQ(datagrams(inbox), sent);
  EXPECT_EQ(inbox.arrivals().size(), 4) << "aaaabbbbccccdd, eeee, the empty one, ffffg: loopback keeps runs";
  inbox.clear();
  EXPECT_TRUE(inbox.receive(listener.socket.fd.get()).would_block());
}

TEST(UdpSocket, ARunIsForwardedAsItCame) {
  auto listener = listen_udp(udp_at("127.0.0.1")).value();
  auto socket = connected_to(listener);
  const std::string run(1200 * 10 + 7, 'x');
  UdpOutbox outbox;
  outbox.add(as_bytes(run), 1200);
  EXPECT_EQ(outbox.flush(socket).datagrams, 11);
  UdpInbox inbox;
  ASSERT_EQ(inbox.receive(listener.socket.fd.get()).bytes, 1);
  EXPECT_EQ(inbox.arrivals()[0].segment, 1200);
  EXPECT_EQ(inbox.arrivals()[0].bytes.size(), run.size());
}

TEST(UdpSocket, SendsOneByOneWhereTheKernelRefusesRuns) {
  auto listener = listen_udp(udp_at("127.0.0.1")).value();
  auto socket = connected_to(listener);
  const int on = 1;  // without checksums there are no runs: EINVAL
  ASSERT_EQ(::setsockopt(socket.fd.get(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof on), 0);
  const std::vector<std::string> sent = {"aaaa", "bbbb", "cc", "dddd"};
  UdpOutbox outbox;
  for (const auto& one : sent) outbox.add(as_bytes(one), one.size());
  EXPECT_EQ(outbox.flush(socket).datagrams, 4);
  EXPECT_EQ(socket.largest_in_run, 3) << "not tried again";
  outbox.add(as_bytes(sent[0]), 2);
  EXPECT_EQ(outbox.flush(socket).datagrams, 2);
  EXPECT_EQ(socket.largest_in_run, 1);
  EXPECT_EQ(receive_all(listener.socket.fd.get()),
            (std::vector<std::string>{"aaaa", "bbbb", "cc", "dddd", "aa", "aa"}));
}

void send_over_small_mtu(UdpSocket& socket, const UdpWay& way) {
  const int mtu = 1280;
  ASSERT_EQ(::setsockopt(socket.fd.get(), IPPROTO_IPV6, IPV6_MTU, &mtu, sizeof mtu), 0);
  const std::string run(std::size_t{1400} * 5 + 7, 'x');
  UdpOutbox outbox;
  outbox.add(as_bytes(run), 1400, way);
  const auto sent = outbox.flush(socket);
  EXPECT_EQ(sent.datagrams, 6);
  EXPECT_EQ(sent.error, 0);
}

TEST(UdpSocket, BeyondTheMtuOfThePathItSendsOneByOne) {
  auto listener = listen_udp(udp_at("::1")).value();
  auto socket = connected_to(listener);
  send_over_small_mtu(socket, {});
  EXPECT_EQ(receive_all(listener.socket.fd.get()).size(), 6);
  EXPECT_EQ(socket.largest_in_run, 1399);

  UdpPeer client(udp_at("::1"));
  send_over_small_mtu(listener.socket, {&client.local()});
  EXPECT_EQ(client.hear_all().size(), 6);
  EXPECT_EQ(listener.socket.largest_in_run, kLargestDatagram) << "another client's path may be better";
}

TEST(UdpSocket, LongRunsAreCutAsTheKernelWantsThem) {
  auto listener = listen_udp(udp_at("127.0.0.1")).value();
  auto socket = connected_to(listener);
  const std::string many(200, 'x');  // more datagrams than a run may have
  const std::string large(40000, 'y');
  UdpOutbox outbox;
  outbox.add(as_bytes(many), 1);
  outbox.add(as_bytes(large), large.size());  // together more bytes than a run may have
  outbox.add(as_bytes(large), large.size());
  const auto sent = outbox.flush(socket);
  EXPECT_EQ(sent.datagrams, 202);
  EXPECT_EQ(sent.error, 0);
  const auto got = receive_all(listener.socket.fd.get());
  ASSERT_EQ(got.size(), 202);
  EXPECT_EQ(got[199], "x");
  EXPECT_EQ(got[201], large);
}

TEST(UdpSocket, TheLargestDatagramPasses) {
  auto listener = listen_udp(udp_at("127.0.0.1")).value();
  auto socket = connected_to(listener);
  const std::string largest(kLargestDatagram, 'z');
  UdpOutbox outbox;
  outbox.add(as_bytes(largest), largest.size());
  EXPECT_EQ(outbox.flush(socket).bytes, largest.size());
  EXPECT_EQ(receive_all(listener.socket.fd.get()), std::vector{largest});
}

TEST(UdpSocket, AHeadStandsInFront) {
  auto listener = listen_udp(udp_at("127.0.0.1")).value();
  auto socket = connected_to(listener);
  UdpOutbox outbox;
  outbox.add(as_bytes("head:"), as_bytes("body"), UdpWay{});
  outbox.add(as_bytes("head:"), as_bytes(""), UdpWay{});
  outbox.add(as_bytes("four"), 4);
  EXPECT_EQ(outbox.flush(socket).bytes, 18);
  EXPECT_EQ(receive_all(listener.socket.fd.get()), (std::vector<std::string>{"head:body", "head:", "four"}));
}

TEST(UdpSocket, OneThatIsTooLargeIsDroppedAlone) {
  auto listener = listen_udp(udp_at("127.0.0.1")).value();
  auto socket = connected_to(listener);
  const std::string large(70000, 'x');
  UdpOutbox outbox;
  outbox.add(as_bytes("before"), 6);
  outbox.add(as_bytes(large), large.size());
  outbox.add(as_bytes("after"), 5);
  const auto sent = outbox.flush(socket);
  EXPECT_EQ(sent.dropped, 1);
  EXPECT_EQ(sent.error, EMSGSIZE);
  EXPECT_EQ(receive_all(listener.socket.fd.get()), (std::vector<std::string>{"before", "after"}));
}

void answers_from_where_it_was_asked(const std::string& any, const std::string& asked) {
  auto listener = listen_udp(udp_at(any)).value();
  EXPECT_TRUE(listener.any_address);
  const auto place = udp_at(asked, listener.local.port());
  UdpPeer client(udp_at(asked));
  client.connect(place);
  client.send("question", place);
  UdpInbox inbox;
  ASSERT_EQ(inbox.receive(listener.socket.fd.get()).bytes, 1);
  const UdpArrival& arrival = inbox.arrivals()[0];
  EXPECT_EQ(*arrival.from, client.local());
  EXPECT_EQ(arrival.to, place.address());
  UdpOutbox outbox;
  for (const char* text : {"one", "two"}) outbox.add(as_bytes(text), 3, {arrival.from, arrival.to});
  EXPECT_EQ(outbox.flush(listener.socket).datagrams, 2);
  EXPECT_EQ(client.hear_all(), (std::vector<std::string>{"one", "two"}));
}

TEST(UdpSocket, AnswersFromTheAddressThatTheClientWroteTo) {
  answers_from_where_it_was_asked("0.0.0.0", "127.0.0.5");
  answers_from_where_it_was_asked("::", "::1");
}

TEST(UdpSocket, RepliesToManyLeaveTogether) {
  auto listener = listen_udp(udp_at("127.0.0.1")).value();
  std::vector<UdpPeer> clients(5);
  UdpOutbox outbox;
  for (UdpPeer& client : clients) {
    outbox.add(as_bytes("same"), 4, {&client.local()});
    outbox.add(as_bytes("size"), 4, {&client.local()});
  }
  EXPECT_EQ(outbox.flush(listener.socket).datagrams, 10);
  for (UdpPeer& client : clients) EXPECT_EQ(client.hear_all(), (std::vector<std::string>{"same", "size"}));
}

TEST(UdpSocket, HearsThatNobodyIsThere) {
  auto socket = connect_udp(UdpPeer().local()).value();
  EXPECT_EQ(take_udp_error(socket.fd.get()), 0);
  UdpOutbox outbox;
  outbox.add(as_bytes("x"), 1);
  EXPECT_EQ(outbox.flush(socket).datagrams, 1);
  EXPECT_EQ(take_udp_error(socket.fd.get()), ECONNREFUSED);
  EXPECT_EQ(take_udp_error(socket.fd.get()), 0) << "all were taken";
}

TEST(UdpSocket, ConnectsFromTheGivenAddress) {
  UdpPeer target;
  auto socket = connect_udp(target.local(), {.source = udp_at("127.0.0.9")}).value();
  UdpOutbox outbox;
  outbox.add(as_bytes("x"), 1);
  EXPECT_EQ(outbox.flush(socket).datagrams, 1);
  const auto heard = target.hear();
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->from.address().to_string(), "127.0.0.9");
  const auto taken = connect_udp(target.local(), {.source = heard->from});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().detail, EADDRINUSE);
  const auto other = connect_udp(target.local(), {.source = udp_at("::1")});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().message, "Address family not supported by protocol");
}

}  // namespace
}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
// A server on a loopback port, on the test's own io_context, that lets everybody in, renews the keys at once
// and shows another host key then. The machine under test cannot: its keys are those it began with.
#pragma once

#include <memory>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "engine/relay/stream.hpp"
#include "net/listener.hpp"
#include "tests/support/scripted_peer.hpp"
#include "tests/support/test_keys.hpp"

namespace culvert::testing {

class ImpostorServer {
 public:
  explicit ImpostorServer(boost::asio::io_context& context)
      : listener_(std::make_shared<net::Listener>(*net::Listener::listen_tcp(
            context.get_executor(), {boost::asio::ip::make_address("127.0.0.1"), 0}))) {
    boost::asio::co_spawn(context, serve(listener_), boost::asio::detached);
  }
  ImpostorServer(const ImpostorServer&) = delete;
  ImpostorServer& operator=(const ImpostorServer&) = delete;
  ~ImpostorServer() { listener_->close(); }

  [[nodiscard]] std::uint16_t port() const { return listener_->port(); }

 private:
  static relay::Task<void> serve(std::shared_ptr<net::Listener> listener) {
    auto accepted = co_await listener->accept();
    if (!accepted) co_return;
    net::StreamSocket& socket = accepted->socket;
    test::ScriptedPeer peer(ssh::Role::server, {}, 1);
    peer.identify();
    peer.send_kexinit();
    bool logged_in = false;
    for (;;) {
      while (!peer.output().empty()) {  // never more than the kernel takes at once
        const auto sent = socket.write(peer.output());
        if (sent.failed()) co_return;
        peer.consume_output(sent.bytes);
      }
      std::uint8_t bytes[4096];
      const auto got = socket.read(bytes);
      if (got.would_block()) {
        if (!co_await net::wait_readable(socket)) co_return;
        continue;
      }
      if (got.failed() || got.bytes == 0) co_return;
      peer.receive(ByteView(bytes, got.bytes));
      for (auto payload = peer.next(); payload && *payload; payload = peer.next())
        answer(peer, (**payload)[0], logged_in);
    }
  }

  static void answer(test::ScriptedPeer& peer, std::uint8_t number, bool& logged_in) {
    if (number == ssh::KexStringInitMessage::kNumber) {
      peer.send_reply(logged_in ? test::stranger_key() : test::host_key());
      peer.send(ssh::NewKeysMessage{});
    } else if (number == ssh::ServiceRequestMessage::kNumber) {
      peer.send(ssh::ServiceAcceptMessage{"ssh-userauth"});
    } else if (number == ssh::UserauthRequestMessage::kNumber) {
      peer.send(ssh::UserauthSuccessMessage{});
      logged_in = true;
      peer.send_kexinit();
    }
  }

  std::shared_ptr<net::Listener> listener_;
};

}  // namespace culvert::testing

// SPDX-License-Identifier: Apache-2.0
// What tests of engine/tunnel connect with: a client's options and key, and streams that it dials.
#pragma once

#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>

#include "base/log.hpp"
#include "engine/tunnel/client.hpp"
#include "tests/support/run_task.hpp"
#include "tests/support/scripted_prompter.hpp"
#include "tests/support/stream_io.hpp"
#include "tests/support/temp_dir.hpp"

namespace culvert::testing {

// A key that ssh-keygen made for this test program alone, and its file.
class UserKey {
 public:
  static const UserKey& instance() {
    static const UserKey key;
    return key;
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const crypto::PublicKey& public_key() const { return *key_; }

 private:
  UserKey() : path_(dir_.path() / "id") {
    const auto command = "ssh-keygen -q -t ed25519 -N '' -C test -f " + path_;
    if (std::system(command.c_str()) != 0) throw std::runtime_error("ssh-keygen does not run");
    std::ifstream file(path_ + ".pub");
    std::string line;
    std::getline(file, line);
    key_ = *crypto::parse_public_key_line(line);
  }
  TempDir dir_;
  std::string path_;
  std::optional<crypto::PublicKey> key_;
};

class ClientHarness : public ::testing::Test {
 protected:
  ClientHarness() { (void)set_up_log(LogLevel::error, ""); }

  tunnel::ServerOptions options(std::uint16_t port) {
    tunnel::ServerOptions options;
    options.host = "127.0.0.1";
    options.port = port;
    options.user = "somebody";
    options.identity_files = {UserKey::instance().path()};
    options.user_known_hosts = {dir_.path() / "known_hosts"};
    options.host_key_policy = tunnel::HostKeyPolicy::accept_new;
    return options;
  }

  Result<void> connect(tunnel::Client& client) { return run(context_, client.connect()); }

  auto dial(tunnel::Client& client, std::string host, std::uint16_t port = 1) {
    return run(context_, dial_named(client, std::move(host), port));
  }

  using Dialed = std::expected<std::unique_ptr<relay::Stream>, relay::DialError>;

  // The client is asked now, and may go before the task runs.
  static relay::Task<Dialed> dial_named(tunnel::Client& client, std::string host, std::uint16_t port) {
    using Asked = std::pair<relay::Endpoint, relay::KnownVisit>;
    auto asked = std::make_shared<Asked>(relay::HostPort{std::move(host), port},
                                         relay::KnownVisit(relay::HostPort{"127.0.0.1", 4321}));
    auto dialing = client.dial(asked->first, asked->second);
    return keep(std::move(asked), std::move(dialing));
  }
  static relay::Task<Dialed> keep(std::shared_ptr<void>, relay::Task<Dialed> dialing) {
    co_return co_await std::move(dialing);
  }

  static relay::Task<std::string> conversation(relay::Stream& stream, std::string text) {
    // Reading waits until all is written: what the server sends meanwhile has to wait, within its window.
    if (const auto done = co_await send_all(stream, text); !done) co_return "write: " + done.error().message;
    auto answer = co_await receive_all(stream);
    co_return answer.error ? "read: " + answer.error->message : std::move(answer.bytes);
  }

  template <class T>
  static relay::Task<void> forget(relay::Task<T> task) {
    (void)co_await std::move(task);
  }

  boost::asio::io_context context_{1};
  TempDir dir_;
  net::Resolver resolver_;
  crypto::SystemRandom random_;
  ScriptedPrompter prompter_;
};

}  // namespace culvert::testing

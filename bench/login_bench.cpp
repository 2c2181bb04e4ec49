// SPDX-License-Identifier: Apache-2.0
// Logs in to an SSH server by key, again and again, from several threads: how many logins a second it takes,
// and what sessions cost it that do nothing.
//
//   culvert-login-bench --to HOST:PORT --key FILE [--user NAME] [--parallel N] (--seconds S | --hold COUNT)
//
// Prints one line of JSON: {"per_s": ..., "done": ..., "failed": ...}; with --hold, when COUNT are logged in,
// and stays until its standard input ends.
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <thread>
#include <variant>
#include <vector>

#include <fmt/core.h>

#include "base/time.hpp"
#include "crypto/private_key.hpp"
#include "crypto/random.hpp"
#include "load/socket.hpp"
#include "load/tool.hpp"
#include "proto/ssh/session.hpp"

namespace {

using namespace culvert;

crypto::PrivateKey read_key(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  auto key = crypto::parse_private_key(text.str());
  if (!key) load::die(path + ": " + key.error().message);
  return std::move(*key);
}

/// One session over a blocking socket.
class Login {
 public:
  Login(load::Fd socket, const std::string& user, const crypto::PrivateKey& key)
      : socket_(std::move(socket)), key_(key), session_(config(user), random_, monotonic_now()) {}

  /// Whether the server let us in.
  bool run() {
    while (!logged_in_ && !over_) {
      while (auto event = session_.next_event()) std::visit([this](auto& one) { on(one); }, *event);
      send();
      if (logged_in_ || over_ || !receive()) break;
    }
    return logged_in_;
  }

  void leave() {
    session_.disconnect("done");
    send();
  }

 private:
  static ssh::SessionConfig config(const std::string& user) {
    ssh::SessionConfig config;
    config.user = user;
    return config;
  }

  void send() {
    while (!session_.output().empty()) {
      const ByteView out = session_.output();
      const ssize_t sent = ::write(socket_.get(), out.data(), out.size());
      if (sent <= 0) {
        over_ = true;
        return;
      }
      session_.consume_output(static_cast<std::size_t>(sent), monotonic_now());
    }
  }

  bool receive() {
    const MutableBytes room = session_.prepare(64 * 1024);
    const ssize_t got = ::read(socket_.get(), room.data(), room.size());
    if (got <= 0) return false;
    session_.commit(static_cast<std::size_t>(got), monotonic_now());
    return true;
  }

  void on(ssh::HostKeyOffered&) { session_.accept_host_key(); }
  void on(ssh::AuthNext&) {
    if (tried_) {
      over_ = true;
      return;
    }
    tried_ = true;
    session_.try_public_key(key_.public_key(), "ssh-ed25519", true);
  }
  void on(ssh::UserSignatureWanted& wanted) {
    if (const auto signature = key_.sign(wanted.algorithm, wanted.message))
      session_.user_signature(*signature);
  }
  void on(ssh::Authenticated&) { logged_in_ = true; }
  void on(ssh::Disconnected&) { over_ = true; }
  void on(auto&) {}

  load::Fd socket_;
  const crypto::PrivateKey& key_;
  crypto::SystemRandom random_;
  ssh::Session session_;
  bool tried_ = false;
  bool logged_in_ = false;
  bool over_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  load::Options options(argc, argv, 1);
  const load::Address to = load::parse_address(options.text("to"));
  const std::string user = options.text("user", "root");
  const crypto::PrivateKey key = read_key(options.text("key"));
  const auto parallel = static_cast<std::size_t>(options.number("parallel", 10));
  const double seconds = options.real("seconds", 2);
  const auto hold = static_cast<std::size_t>(options.number("hold", 0));
  options.finish();

  std::atomic<std::size_t> done = 0;
  std::atomic<std::size_t> failed = 0;
  std::atomic<std::size_t> begun = 0;
  std::vector<std::vector<std::unique_ptr<Login>>> held(parallel);
  const auto start = load::Clock::now();
  const auto deadline = load::after(hold > 0 ? 600 : seconds);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < parallel; ++i) {
      threads.emplace_back([&, i] {
        while (load::Clock::now() < deadline && (hold == 0 || begun++ < hold)) {
          auto login = std::make_unique<Login>(load::connect_to(to, 60), user, key);
          const bool in = login->run();
          ++(in ? done : failed);
          if (!in) continue;
          if (hold > 0) {
            held[i].push_back(std::move(login));
          } else {
            login->leave();
          }
        }
      });
    }
  }
  fmt::print("{{\"per_s\": {:.1f}, \"done\": {}, \"failed\": {}}}\n",
             static_cast<double>(done) / load::seconds_since(start), done.load(), failed.load());
  std::fflush(stdout);
  char byte = 0;
  while (hold > 0 && ::read(0, &byte, 1) > 0) {
  }
  return 0;
}

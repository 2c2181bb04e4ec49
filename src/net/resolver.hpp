// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/result.hpp"
#include "base/time.hpp"
#include "net/address_cache.hpp"

namespace culvert::net {

/// Looks names up on a bounded pool of threads of its own (Asio's resolver has one thread: a silent name
/// would stop all others). Its threads start as they are needed, so that a program may still fork before the
/// first look-up. Any thread may ask. Questions for a name that is being looked up already join that look-up:
/// many clients of one silent name take one thread. The answer is good for a moment longer: many streams to
/// one name take one look-up a second. Failures are not kept.
///
/// Each question has a requester, and those are served in turns: one who asks for many silent names has a few
/// threads busy, and makes nobody else wait behind all of them.
class Resolver {
 public:
  /// Whose question it is: any text that tells those apart who could be in each other's way (the address of a
  /// client, its user). Empty: ourselves, to whom the limits below do not apply.
  using Requester = std::string;

  /// So many look-ups of one requester run at once; one that nobody waits for any more counts until it ends.
  static constexpr std::size_t kRunningOfOne = 8;
  /// For so many names more it waits at once,
  static constexpr std::size_t kNamesOfOne = 128;
  /// and has so many questions in all.
  static constexpr std::size_t kQuestionsOfOne = 1024;

  /// The system's resolver does not say for how long an answer is good. So long a name may still lead to an
  /// address that it has left.
  static constexpr Duration kLifetime = std::chrono::seconds(1);

  /// Blocks until it has the addresses of a name (never none) or an error. Runs on the pool's threads, at the
  /// same time.
  using LookUp =
      std::function<Result<std::vector<boost::asio::ip::address>>(const std::string& host, Family family)>;

  /// At most `threads` look-ups run at once, at most `waiting` more wait.
  explicit Resolver(unsigned threads = 64, unsigned waiting = 4096);
  /// With another way to look up, for tests: a slow one, a silent one.
  Resolver(unsigned threads, unsigned waiting, LookUp look_up, Duration lifetime = kLifetime);
  /// Never waits for a look-up: threads that are inside one are left to end by themselves, and hold nothing
  /// of the caller's (neither executor nor coroutine). resolve() calls that still wait return
  /// Errc::cancelled.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// All addresses of `host` in the order of getaddrinfo(), never none. A literal address, and a name that
  /// is known, are answered without a thread. Resumes on the caller's executor; obeys Asio cancellation (the
  /// look-up itself goes on, unheard). Errors: Errc::not_found with getaddrinfo's words ("Name or service not
  /// known"); Errc::limit: "too many names are being looked up", in all or of this requester.
  [[nodiscard]] boost::asio::awaitable<Result<std::vector<boost::asio::ip::tcp::endpoint>>> resolve(
      std::string host, std::uint16_t port, Family family = Family::any, Requester requester = {});

 private:
  struct Pool;
  std::shared_ptr<Pool> pool_;
};

/// The error of resolve() as a line for people: "cannot resolve db: Name or service not known".
[[nodiscard]] Error cannot_resolve(std::string_view host, Error error);

}  // namespace culvert::net

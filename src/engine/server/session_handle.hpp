// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <boost/asio/any_io_executor.hpp>

#include "base/time.hpp"
#include "engine/relay/elsewhere.hpp"
#include "engine/relay/stream.hpp"

namespace culvert::server {

/// A session that can be asked whether it lives, and made to end. All calls on its thread.
class LiveSession {
 public:
  virtual ~LiveSession() = default;
  /// Asks its client whether it lives; false after `patience` without a word.
  [[nodiscard]] virtual relay::Task<bool> answers(Duration patience) = 0;
  /// Its client is gone, or is in another session now: ends it, and gives up at once what it listens at.
  virtual void give_way() = 0;
};

/// A session that has logged in, for the other ones. Any thread; of one that is over, too.
class SessionHandle {
 public:
  /// `executor`: of the thread of `session`. `identity`: "key SHA256:...": sessions with the same one may
  /// take over from each other. `name`: "alice@192.0.2.7:51234", for the log.
  SessionHandle(boost::asio::any_io_executor executor, std::weak_ptr<LiveSession> session,
                std::string identity, std::string name)
      : executor_(std::move(executor)),
        session_(std::move(session)),
        identity_(std::move(identity)),
        name_(std::move(name)) {}

  [[nodiscard]] const std::string& identity() const { return identity_; }
  [[nodiscard]] const std::string& name() const { return name_; }

  /// As those of the session. False, and nothing, of one that is over.
  [[nodiscard]] relay::Task<bool> answers(Duration patience) const {
    return relay::elsewhere<bool>(
        executor_, [session = session_, patience]() -> relay::Task<bool> { return ask(session, patience); });
  }
  /// Returns when it has.
  [[nodiscard]] relay::Task<void> give_way() const {
    (void)co_await relay::elsewhere<bool>(
        executor_, [session = session_]() -> relay::Task<bool> { return end(session); });
  }

 private:
  // A session ends on its own thread, and so must the last hold of it.
  static relay::Task<bool> ask(std::weak_ptr<LiveSession> session, Duration patience) {
    const auto live = session.lock();
    if (!live) co_return false;
    co_return co_await live->answers(patience);
  }
  static relay::Task<bool> end(std::weak_ptr<LiveSession> session) {
    const auto live = session.lock();
    if (live) live->give_way();
    co_return live != nullptr;
  }

  const boost::asio::any_io_executor executor_;
  const std::weak_ptr<LiveSession> session_;
  const std::string identity_, name_;
};

}  // namespace culvert::server

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "net/watched_fd.hpp"

namespace culvert::daemon {

/// SIGINT, SIGTERM and SIGHUP, which end the program, and SIGUSR1, which asks what is going on; but for those
/// that were ignored when the program started (nohup). The first one that ends is told to next(); a second
/// SIGINT or SIGTERM ends the process in its handler with 128 + its number, whatever the loop is doing. A
/// further SIGHUP does nothing: a terminal that goes away sends several. One object at a time.
class Signals {
 public:
  /// `last_words`: called in the signal handler before the process ends; async-signal-safe; may be null.
  Signals(const boost::asio::any_io_executor& executor, void (*last_words)());
  ~Signals();  ///< the signals do what they did before
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  /// SIGUSR1, once for all that have come since the last call, or the number of the first one that ends: from
  /// then on that. Obeys Asio cancellation (0 then).
  [[nodiscard]] boost::asio::awaitable<int> next();

 private:
  net::WatchedFd wake_;
};

}  // namespace culvert::daemon

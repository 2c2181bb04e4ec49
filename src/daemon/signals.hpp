// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace culvert::daemon {

/// SIGINT, SIGTERM and SIGHUP, but for those that were ignored when the program started (nohup). The first
/// one is told to next(); a second SIGINT or SIGTERM ends the process in its handler with 128 + its number,
/// whatever the loop is doing. A further SIGHUP does nothing: a terminal that goes away sends several. One
/// object at a time.
class StopSignals {
 public:
  /// `last_words`: called in the signal handler before the process ends; async-signal-safe; may be null.
  StopSignals(const boost::asio::any_io_executor& executor, void (*last_words)());
  ~StopSignals();  ///< the signals do what they did before
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The number of the first signal. Obeys Asio cancellation (0 then). Once.
  [[nodiscard]] boost::asio::awaitable<int> next();

 private:
  boost::asio::posix::stream_descriptor wake_;
};

}  // namespace culvert::daemon

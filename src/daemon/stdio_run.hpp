// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include "base/result.hpp"
#include "engine/relay/dialer.hpp"
#include "engine/relay/endpoint.hpp"
#include "engine/relay/pump.hpp"
#include "engine/relay/signal.hpp"

namespace culvert::daemon {

/// -W: joins standard input and output to what the dialer makes of the destination.
class StdioRun {
 public:
  /// `dialer` must outlive it, and make streams that tell when they are closed (Stream::CloseListener).
  StdioRun(relay::Dialer& dialer, relay::Endpoint destination)
      : dialer_(dialer), destination_(std::move(destination)) {}

  /// Returns when both directions have ended and the other end has closed the stream: what was sent may still
  /// be on its way to its target before. The error's message is the line for the user. Once.
  [[nodiscard]] relay::Task<Result<void>> run();
  /// Gives up; run() returns soon. Any number of times.
  void abort();

 private:
  relay::Task<void> closed_by_peer(relay::Stream& stream);

  relay::Dialer& dialer_;
  const relay::Endpoint destination_;
  relay::Pump* pump_ = nullptr;       // lives in run()
  relay::Signal* leaving_ = nullptr;  // behind it, as that does
  boost::asio::cancellation_signal give_up_;
  bool aborted_ = false;
};

}  // namespace culvert::daemon

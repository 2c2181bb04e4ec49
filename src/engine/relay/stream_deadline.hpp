// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include <boost/asio/any_io_executor.hpp>

#include "base/time.hpp"
#include "engine/relay/stream.hpp"
#include "net/timer.hpp"

namespace culvert::relay {

/// Aborts a stream in `time`, unless it is destroyed before. The stream must outlive it.
class StreamDeadline {
 public:
  StreamDeadline(const boost::asio::any_io_executor& executor, Stream& stream, Duration time)
      : stream_(std::make_shared<Stream*>(&stream)), timer_(executor, time) {
    timer_.async_wait([stream = stream_](const boost::system::error_code& error) {
      if (!error && *stream != nullptr) (*stream)->abort();
    });
  }
  StreamDeadline(const StreamDeadline&) = delete;
  StreamDeadline& operator=(const StreamDeadline&) = delete;
  ~StreamDeadline() { *stream_ = nullptr; }  // the timer may have fired already, and its handler not have run

 private:
  std::shared_ptr<Stream*> stream_;
  net::Timer timer_;
};

}  // namespace culvert::relay

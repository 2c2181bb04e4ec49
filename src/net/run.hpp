// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "net/readiness.hpp"

namespace culvert::net {

/// As `context.run()`, on the calling thread alone; but the thread sleeps where its sockets are watched
/// (Readiness), and what Asio runs costs no system call: timers are Timer, other descriptors are WatchedFd.
/// Asio's own are heard only behind Readiness::serve_asio(). (docs/decisions/readiness.md)
///
/// Other threads use what is below: run() sleeps through a plain post() or stop() of theirs.
void run(boost::asio::io_context& context);

/// asio::post() to a context that another thread runs. Its Readiness was made before (by a socket, or of()).
template <class Function>
void post_from_outside(const boost::asio::any_io_executor& to, Function function) {
  boost::asio::post(to, std::move(function));
  Readiness::of(to).wake();
}

/// Its stop(), of a context that another thread runs.
void stop_from_outside(boost::asio::io_context& context);

}  // namespace culvert::net

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "base/result.hpp"
#include "base/time.hpp"
#include "engine/relay/stream.hpp"

namespace culvert::mapper {

/// What is asked of a server of HTTP on the local network.
struct HttpRequest {
  boost::asio::ip::tcp::endpoint server;
  boost::asio::ip::address from;  ///< of this machine
  std::string authority, path;    ///< as the server reads them
  std::string soap_action;        ///< POST with this header and `body`; empty: GET
  std::string body;
};

struct HttpAnswer {
  unsigned status = 0;
  std::string body;
};

inline constexpr std::size_t kMostHttpBody = 256 * 1024;
inline constexpr std::size_t kMostHttpHead = 16 * 1024;

/// One request and its answer, over a connection that does not leave the local network (a TTL of 1).
class HttpExchange {
 public:
  explicit HttpExchange(const boost::asio::any_io_executor& executor);
  ~HttpExchange();
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  /// All of it within `time`: Errc::timed_out. Errc::limit: the answer is longer than that. Errc::malformed:
  /// it is no HTTP. Messages without names. Once.
  [[nodiscard]] relay::Task<Result<HttpAnswer>> run(HttpRequest request, Duration time);
  /// run() returns soon: Errc::cancelled.
  void cancel();

 private:
  struct State;  // keeps the headers of Beast out of here
  std::unique_ptr<State> state_;
};

}  // namespace culvert::mapper

// SPDX-License-Identifier: Apache-2.0
#include "engine/mapper/http_exchange.hpp"

#include <cerrno>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>
#include <boost/asio/ip/unicast.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "net/as_tuple.hpp"
#include "net/readiness.hpp"

namespace culvert::mapper {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

namespace {

constexpr auto kWaiting = net::kTuple;

std::unexpected<Error> failed(const beast::error_code& error) {
  if (error == beast::error::timeout) return fail(Errc::timed_out, "no answer in time");
  if (error == asio::error::operation_aborted) return cancelled();
  if (error == http::error::body_limit || error == http::error::header_limit ||
      error == http::error::buffer_overflow) {
    return fail(Errc::limit, "its answer is too long");
  }
  if (error == http::error::end_of_stream || error == http::error::partial_message)
    return fail(Errc::closed, "it closed the connection before its answer was whole");
  if (error.category() == http::make_error_code(http::error::bad_value).category())
    return fail(Errc::malformed, "its answer is not HTTP");
  return fail(Errc::system, error.message(), error.value());
}

http::request<http::string_body> message_of(HttpRequest& request) {
  const bool asks = request.soap_action.empty();
  http::request<http::string_body> message(asks ? http::verb::get : http::verb::post, request.path, 11);
  message.set(http::field::host, request.authority);
  message.set(http::field::user_agent, "culvert");
  message.set(http::field::connection, "close");
  if (!asks) {
    message.set(http::field::content_type, "text/xml; charset=\"utf-8\"");
    message.set("SOAPAction", "\"" + request.soap_action + "\"");
    message.body() = std::move(request.body);
    message.prepare_payload();
  }
  return message;
}

}  // namespace

struct HttpExchange::State {
  explicit State(const asio::any_io_executor& executor) : stream(executor) {}
  beast::tcp_stream stream;
  bool is_cancelled = false;
};

HttpExchange::HttpExchange(const asio::any_io_executor& executor)
    : state_(std::make_unique<State>(executor)) {}
HttpExchange::~HttpExchange() = default;

void HttpExchange::cancel() {
  state_->is_cancelled = true;
  state_->stream.cancel();
}

relay::Task<Result<HttpAnswer>> HttpExchange::run(HttpRequest request, Duration time) {
  beast::tcp_stream& stream = state_->stream;
  CO_TRY(net::Readiness::of(stream.get_executor()).serve_asio());
  beast::error_code error;
  auto& socket = stream.socket();
  socket.open(request.server.protocol(), error);
  if (!error) socket.bind({request.from, 0}, error);
  if (!error) socket.set_option(asio::ip::unicast::hops(1), error);
  if (error) co_return failed(error);
  const auto message = message_of(request);
  stream.expires_after(time);
  const auto [connected] = co_await stream.async_connect(request.server, kWaiting);
  if (state_->is_cancelled) co_return cancelled();
  if (connected) co_return failed(connected);
  const auto [written, sent] = co_await http::async_write(stream, message, kWaiting);
  if (state_->is_cancelled) co_return cancelled();
  if (written) co_return failed(written);
  beast::flat_buffer buffer(kMostHttpHead + 4096);
  http::response_parser<http::string_body> parser;
  parser.header_limit(kMostHttpHead);
  parser.body_limit(kMostHttpBody);
  const auto [read, received] = co_await http::async_read(stream, buffer, parser, kWaiting);
  if (state_->is_cancelled) co_return cancelled();
  if (read) co_return failed(read);
  auto answer = parser.release();
  co_return HttpAnswer{answer.result_int(), std::move(answer.body())};
}

}  // namespace culvert::mapper

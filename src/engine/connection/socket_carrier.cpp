// SPDX-License-Identifier: Apache-2.0
#include "engine/connection/socket_carrier.hpp"

#include "net/addresses.hpp"

namespace culvert::connection {

boost::asio::any_io_executor SocketCarrier::executor() { return socket_.get_executor(); }

net::Transferred SocketCarrier::read(MutableBytes into) { return socket_.read(into); }

net::Transferred SocketCarrier::write(ByteView bytes) { return socket_.write(bytes); }

relay::Task<void> SocketCarrier::readable() { (void)co_await net::wait_readable(socket_); }

void SocketCarrier::when_writable(std::function<void()> go_on) {
  socket_.async_wait(net::StreamSocket::Direction::out, [go_on = std::move(go_on)](bool) { go_on(); });
}

void SocketCarrier::cancel() { socket_.cancel(); }

void SocketCarrier::close() { socket_.close(); }

void SocketCarrier::wake_at(std::size_t bytes) {
  (void)net::set_receive_low_water(socket_.native_handle(), bytes);
}

void SocketCarrier::limit_unsent(std::size_t bytes) {
  (void)net::set_not_sent_low_water(socket_.native_handle(), bytes);
}

bool SocketCarrier::has_its_address() const {
  const auto here = net::local_endpoint(socket_.native_handle());
  return !here || net::has_address(here->address());
}

void SocketCarrier::acknowledge_now() { (void)net::set_quick_ack(socket_.native_handle(), true); }

}  // namespace culvert::connection

// SPDX-License-Identifier: Apache-2.0
#include "net/datagram_port.hpp"

#include <cerrno>
#include <cstring>

#include <netinet/in.h>
#include <sys/socket.h>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/multicast.hpp>

#include "net/as_tuple.hpp"
#include "net/readiness.hpp"

namespace culvert::net {

namespace asio = boost::asio;
namespace multicast = asio::ip::multicast;
using asio::ip::udp;

namespace {

// UPnP Device Architecture section 1.3.2: searches go no further.
constexpr int kMulticastHops = 2;

std::unexpected<Error> failed(const boost::system::error_code& error) {
  if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) return cancelled();
  return fail(Errc::system, std::strerror(error.value()), error.value());
}

}  // namespace

Result<DatagramPort> DatagramPort::connect(const asio::any_io_executor& executor,
                                           const asio::ip::address& here, const Endpoint& there) {
  TRY(Readiness::of(executor).serve_asio());
  udp::socket socket(executor);
  boost::system::error_code error;
  socket.open(there.protocol(), error);
  if (!error) socket.non_blocking(true, error);
  if (!error) socket.bind({here, 0}, error);
  if (!error) socket.connect(there, error);
  if (error) return failed(error);
  return DatagramPort(std::move(socket));
}

Result<DatagramPort> DatagramPort::open(const asio::any_io_executor& executor, const asio::ip::address& here,
                                        unsigned interface) {
  TRY(Readiness::of(executor).serve_asio());
  udp::socket socket(executor);
  boost::system::error_code error;
  const Endpoint local(here, 0);
  socket.open(local.protocol(), error);
  if (!error) socket.non_blocking(true, error);
  if (!error) socket.bind(local, error);
  if (!error) {
    const auto way =
        here.is_v4() ? multicast::outbound_interface(here.to_v4()) : multicast::outbound_interface(interface);
    socket.set_option(way, error);
  }
  if (!error) socket.set_option(multicast::hops(kMulticastHops), error);
  if (error) return failed(error);
  return DatagramPort(std::move(socket));
}

Result<DatagramPort> DatagramPort::join(const asio::any_io_executor& executor, const Endpoint& group,
                                        unsigned interface) {
  TRY(Readiness::of(executor).serve_asio());
  udp::socket socket(executor);
  boost::system::error_code error;
  socket.open(group.protocol(), error);
  if (!error) socket.set_option(udp::socket::reuse_address(true), error);
  const auto address = group.address();
  // Bound to the group, it does not hear what is sent to this machine alone.
  const asio::ip::address at =
      address.is_v4() ? address
                      : asio::ip::address(asio::ip::address_v6(address.to_v6().to_bytes(), interface));
  if (!error) socket.bind({at, group.port()}, error);
  if (error) return failed(error);
  int done = 0;
  if (address.is_v4()) {
    ip_mreqn member = {};
    const auto bytes = address.to_v4().to_bytes();
    std::memcpy(&member.imr_multiaddr, bytes.data(), bytes.size());
    member.imr_ifindex = static_cast<int>(interface);
    done = ::setsockopt(socket.native_handle(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &member, sizeof member);
    // Of this interface, not of every one that somebody else has joined the group on.
    const int no = 0;
    (void)::setsockopt(socket.native_handle(), IPPROTO_IP, IP_MULTICAST_ALL, &no, sizeof no);
  } else {
    ipv6_mreq member = {};
    const auto bytes = address.to_v6().to_bytes();
    std::memcpy(&member.ipv6mr_multiaddr, bytes.data(), bytes.size());
    member.ipv6mr_interface = interface;
    done = ::setsockopt(socket.native_handle(), IPPROTO_IPV6, IPV6_JOIN_GROUP, &member, sizeof member);
  }
  if (done != 0) return fail(Errc::system, std::strerror(errno), errno);
  return DatagramPort(std::move(socket));
}

asio::awaitable<Result<DatagramPort::Datagram>> DatagramPort::receive() {
  Datagram datagram;
  const auto [error, size] =
      co_await socket_.async_receive_from(asio::buffer(buffer_), datagram.from, kTuple);
  if (error) co_return failed(error);
  datagram.bytes = ByteView(buffer_).first(size);
  co_return datagram;
}

Result<void> DatagramPort::send(ByteView bytes) {
  boost::system::error_code error;
  socket_.send(asio::buffer(bytes.data(), bytes.size()), 0, error);
  if (error && error != asio::error::would_block) return failed(error);
  return {};
}

Result<void> DatagramPort::send_to(const Endpoint& there, ByteView bytes) {
  boost::system::error_code error;
  socket_.send_to(asio::buffer(bytes.data(), bytes.size()), there, 0, error);
  if (error && error != asio::error::would_block) return failed(error);
  return {};
}

void DatagramPort::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace culvert::net

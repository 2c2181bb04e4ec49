// SPDX-License-Identifier: Apache-2.0
#include "net/listener.hpp"

#include <cerrno>
#include <chrono>
#include <optional>
#include <system_error>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include "base/complaint.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "base/time.hpp"
#include "net/as_tuple.hpp"
#include "net/cancelled.hpp"
#include "net/descriptor_relief.hpp"
#include "net/listen_error.hpp"
#include "net/timer.hpp"
#include "net/unique_fd.hpp"
#include "net/unix_address.hpp"

namespace culvert::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr int kBacklog = 4096;
constexpr auto kPause = std::chrono::milliseconds(100);

/// Which file a bound Unix socket is, so that close() removes no other.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
};

std::optional<FileIdentity> identity_of(const std::string& path) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return FileIdentity{status.st_dev, status.st_ino};
}

/// What is at a path that cannot be bound.
enum class Occupant : std::uint8_t { none, no_socket, dead_socket, program, unknown };

Occupant occupant_of(const std::string& path, const UnixAddress& address) {
  struct stat status = {};
  if (::lstat(path.c_str(), &status) != 0) return Occupant::none;
  if (!S_ISSOCK(status.st_mode)) return Occupant::no_socket;
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Occupant::unknown;
  if (::connect(fd.get(), address.get(), address.size) == 0) return Occupant::program;
  switch (errno) {
    case ECONNREFUSED:
      return Occupant::dead_socket;
    case EAGAIN:      // more wait there than it takes
    case EPROTOTYPE:  // of datagrams
      return Occupant::program;
    default:
      return Occupant::unknown;
  }
}

std::unexpected<Error> cannot_listen_unix(const std::string& path, int error) {
  return cannot_listen(printable(path), std::generic_category().message(error), error);
}

std::unexpected<Error> cannot_bind_unix(const std::string& path, const UnixAddress& address, int error) {
  if (error != EADDRINUSE) return cannot_listen_unix(path, error);
  const auto because = [&](std::string_view cause) { return cannot_listen(printable(path), cause, error); };
  if (is_abstract(path)) return because("another program listens there ('ss -lxp' shows which)");
  switch (occupant_of(path, address)) {
    case Occupant::program:
      return because("another program listens there ('ss -lxp' shows which)");
    case Occupant::no_socket:
      return because("the file there is not a socket");
    case Occupant::dead_socket:  // with replace_dead, only one that has just come
      return because(
          "the file exists already, and nobody listens there (remove it, or, for -L and -D, set "
          "StreamLocalBindUnlink=yes)");
    case Occupant::none:
    case Occupant::unknown:
      break;
  }
  return because("the file exists already ('ss -lxp' shows whether a program listens there)");
}

enum class AcceptFailure { none_waiting, passing, exhausted, fatal };

AcceptFailure classify(int error) {
  switch (error) {
    case EAGAIN:
      return AcceptFailure::none_waiting;
    case EINTR:
    case ECONNABORTED:
    // accept(2): errors of the new connection that are already known are reported here. They say nothing
    // about the listener.
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EPERM:
      return AcceptFailure::passing;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSPC:
      return AcceptFailure::exhausted;
    default:
      return AcceptFailure::fatal;
  }
}

}  // namespace

struct Listener::State {
  explicit State(const asio::any_io_executor& executor)
      : pause(executor), relief(DescriptorRelief::of(executor)) {}

  StreamSocket listening;
  Timer pause;
  DescriptorRelief& relief;
  std::string name;
  std::optional<tcp::endpoint> endpoint;
  bool closed = false;
  bool loopback_only = false;  ///< its connections inherit what unpace() did to it
  std::string path;
  std::optional<FileIdentity> file;
  Complaint complaint;
  int family = AF_UNIX;  ///< of its connections too

  [[nodiscard]] Result<void> watch(UniqueFd fd) {
    auto adopted = adopt(pause.get_executor(), fd.release(), family);
    if (!adopted)
      return cannot_listen(name, adopted.error().message, static_cast<int>(adopted.error().detail));
    listening = std::move(*adopted);
    return {};
  }

  void complain(std::string_view cause) {
    if (!complaint.is_due(monotonic_now())) return;
    log(LogLevel::warning, "{}: cannot take more connections for now: {}", name, cause);
  }
};

Listener::Listener(std::shared_ptr<State> state) : state_(std::move(state)) {}
Listener::Listener(Listener&&) noexcept = default;
Listener& Listener::operator=(Listener&& other) noexcept {
  if (this != &other) {
    if (state_) close();
    state_ = std::move(other.state_);
  }
  return *this;
}
Listener::~Listener() {
  if (state_) close();
}

namespace {

Result<UniqueFd> tcp_socket_for(const tcp::endpoint& endpoint) {
  UniqueFd fd(
      ::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (!fd) return cannot_listen(endpoint, errno);
  const int on = 1;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (endpoint.address().is_v6() && ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) {
    return cannot_listen(endpoint, errno);
  }
  return fd;
}

}  // namespace

Result<UniqueFd> bind_tcp(const tcp::endpoint& endpoint) {
  return bind_shared_tcp(endpoint, Shares::nothing);
}

Result<UniqueFd> bind_shared_tcp(const tcp::endpoint& endpoint, Shares shares) {
  UniqueFd fd = TRY(tcp_socket_for(endpoint));
  if (const int error = bind_socket(fd.get(), endpoint, shares); error != 0)
    return cannot_listen(endpoint, error);
  return fd;
}

Result<Listener> Listener::listen_tcp(const asio::any_io_executor& executor, const tcp::endpoint& endpoint,
                                      const Binder& bind) {
  UniqueFd fd = TRY(bind(endpoint));
  (void)set_no_delay(fd.get(), true);  // inherited by every connection: no call for each
  auto state = std::make_shared<State>(executor);
  state->family = endpoint.protocol().family();
  state->loopback_only = endpoint.address().is_loopback();
  if (state->loopback_only) unpace(fd.get());
  if (::listen(fd.get(), kBacklog) != 0) return cannot_listen(endpoint, errno);
  const auto bound = local_endpoint(fd.get()).value_or(endpoint);
  state->name = to_text(bound);
  state->endpoint = bound;
  if (auto watched = state->watch(std::move(fd)); !watched)
    return std::unexpected(std::move(watched).error());
  return Listener(std::move(state));
}

Result<Listener> Listener::listen_unix(const asio::any_io_executor& executor, const std::string& path,
                                       UnixListenOptions options) {
  const auto address = UnixAddress::make(path);
  if (!address)
    return fail(Errc::usage,
                fmt::format("cannot listen on {}: {}", printable(path), address.error().message));
  const bool is_file = !is_abstract(path);

  struct stat status = {};
  if (is_file && options.replace_dead && occupant_of(path, *address) == Occupant::dead_socket &&
      ::unlink(path.c_str()) != 0)
    return cannot_listen_unix(path, errno);
  if (is_file && options.unlink_existing && ::lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode))
      return cannot_listen(printable(path), "the file there is not a socket", EADDRINUSE);
    if (::unlink(path.c_str()) != 0) return cannot_listen_unix(path, errno);
  }
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return cannot_listen_unix(path, errno);
  // The mode of the socket is the mode of the file that bind() makes, less the umask: no moment with too many
  // rights, and the umask, which all threads share, stays as it is.
  const mode_t mode = 0777 & ~options.mask;
  if (::fchmod(fd.get(), mode) != 0) return cannot_listen_unix(path, errno);
  if (::bind(fd.get(), address->get(), address->size) != 0) return cannot_bind_unix(path, *address, errno);
  auto state = std::make_shared<State>(executor);
  state->name = printable(path);
  state->path = path;
  if (is_file) state->file = identity_of(path);
  Listener listener(state);  // from here on the file goes when this function fails
  if (is_file && ::lstat(path.c_str(), &status) == 0 && (status.st_mode & 0777) != mode) {
    (void)::chmod(path.c_str(), mode);  // the umask took what the option gives
  }
  if (::listen(fd.get(), kBacklog) != 0) return cannot_listen_unix(path, errno);
  if (auto watched = state->watch(std::move(fd)); !watched)
    return std::unexpected(std::move(watched).error());
  return listener;
}

asio::awaitable<Result<Accepted>> Listener::accept() {
  const auto state = state_;  // close(), or the end of the Listener, may come while this waits
  for (;;) {
    if (state->closed) co_return cancelled();
    sockaddr_storage from = {};
    socklen_t length = sizeof from;
    UniqueFd taken(::accept4(state->listening.native_handle(), reinterpret_cast<sockaddr*>(&from), &length,
                             SOCK_CLOEXEC | SOCK_NONBLOCK));
    const int error = taken ? 0 : errno;
    if (taken) {
      state->relief.got(taken.get());
      const bool tcp_over_any_address = !state->loopback_only && state->path.empty();
      if (tcp_over_any_address) unpace_if_local(taken.get());
      auto socket = adopt(state->pause.get_executor(), taken.release(), state->family);
      if (socket) co_return Accepted{std::move(*socket), tcp_endpoint(from, length)};
      state->complain(socket.error().message);  // the client sees a close; without a pause all of them would
    } else if (const auto failure = classify(error); failure == AcceptFailure::passing) {
      continue;
    } else if (failure == AcceptFailure::none_waiting) {
      state->listening.met_not_now(StreamSocket::Direction::in);
      (void)co_await wait_readable(state->listening);
      if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
      continue;
    } else if (failure == AcceptFailure::fatal) {
      co_return fail_errno(state->name, error);
    } else if (state->relief.make_room()) {
      continue;
    } else {
      state->complain(std::generic_category().message(error));
    }
    state->pause.expires_after(kPause);
    (void)co_await state->pause.async_wait(kTuple);
    if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
  }
}

Result<void> Listener::set_liveness(const Liveness& liveness) {
  if (state_->closed || !state_->path.empty()) return {};
  return net::set_liveness(state_->listening.native_handle(), liveness);
}

void Listener::close() {
  if (std::exchange(state_->closed, true)) return;
  state_->pause.cancel();
  state_->listening.close();
  if (state_->file && identity_of(state_->path) == state_->file) (void)::unlink(state_->path.c_str());
}

const std::string& Listener::name() const { return state_->name; }

std::uint16_t Listener::port() const { return state_->endpoint ? state_->endpoint->port() : 0; }

std::optional<tcp::endpoint> Listener::endpoint() const { return state_->endpoint; }

}  // namespace culvert::net

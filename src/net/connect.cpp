// SPDX-License-Identifier: Apache-2.0
#include "net/connect.hpp"

#include <algorithm>
#include <cerrno>
#include <expected>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include <netinet/in.h>
#include <sys/socket.h>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>

#include "net/as_tuple.hpp"
#include "net/cancelled.hpp"
#include "net/timer.hpp"
#include "net/unique_fd.hpp"
#include "net/unix_address.hpp"

namespace culvert::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

/// A name can be made to have hundreds of addresses, and each attempt takes a descriptor.
constexpr std::size_t kMostAddresses = 32;
constexpr std::size_t kMostAttempts = 8;

/// The attempts of one connect_tcp. Shared with the handlers of attempts that were given up, which find it
/// closed.
struct Race {
  explicit Race(const asio::any_io_executor& executor) : wake(executor) {}

  struct Attempt {
    Attempt(StreamSocket made, const tcp::endpoint& where)
        : socket(std::move(made)), to(where), deadline(socket.get_executor()) {}
    StreamSocket socket;
    const tcp::endpoint to;
    Timer deadline;
    bool running = true;
  };

  void give_up() {
    over = true;
    for (const auto& attempt : attempts) {
      attempt->socket.close();
      attempt->deadline.cancel();
    }
  }

  /// Which failure says most: one about the whole address family ("Network is unreachable") says least, and
  /// of two alike the first one counts.
  void failed(int error) {
    const auto weight = [](int value) {
      if (value == 0) return 0;
      if (value == ENETUNREACH || value == EAFNOSUPPORT || value == EADDRNOTAVAIL) return 1;
      if (value == ETIMEDOUT || value == EHOSTUNREACH) return 2;
      return 3;
    };
    if (weight(error) > weight(best_error)) best_error = error;
  }

  Timer wake;  ///< the coroutine sleeps on it; handlers cancel it
  std::vector<std::shared_ptr<Attempt>> attempts;
  std::optional<StreamSocket> winner;
  std::size_t running = 0;
  int best_error = 0;
  bool over = false;
};

bool is_connected(int socket) {
  sockaddr_storage peer = {};
  socklen_t length = sizeof peer;
  return ::getpeername(socket, reinterpret_cast<sockaddr*>(&peer), &length) == 0;
}

// What a connected socket still needs; 0, or why it is none.
int settle(int socket, const tcp::endpoint& to) {
  // Two loopback ends of one port can find each other where nobody listens: a connection to itself is none.
  // Only a loopback address is sure to be the peer's: 0.0.0.0 leads to one, too.
  const std::optional<tcp::endpoint> peer = to.address().is_loopback() ? to : peer_endpoint(socket);
  if (peer == local_endpoint(socket)) return ECONNREFUSED;
  if (!to.address().is_loopback()) unpace_if_local(socket);
  return 0;
}

void finish(Race& race, Race::Attempt& attempt, int error) {
  if (race.over || !attempt.running) return;
  if (error == 0) error = settle(attempt.socket.native_handle(), attempt.to);
  attempt.running = false;
  attempt.deadline.cancel();
  --race.running;
  if (error == 0 && !race.winner) {
    race.winner = std::move(attempt.socket);
  } else {
    race.failed(error);
    attempt.socket.close();
  }
  race.wake.cancel();
}

const asio::ip::address* source_for(const tcp::endpoint& to, const ConnectOptions& options) {
  const auto found =
      std::ranges::find(options.bind_addresses, to.address().is_v6(), &asio::ip::address::is_v6);
  return found == options.bind_addresses.end() ? nullptr : &*found;
}

Result<void> set_transparent(int socket, bool is_v6) {
  const int on = 1;
  if (::setsockopt(socket, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on,
                   sizeof on) != 0)
    return fail_errno("", errno);
  return {};
}

Result<void> bind_source(int socket, const asio::ip::address& source, const ConnectOptions& options) {
  const int on = 1;
  if (options.bind_port == 0) {
    // The port is chosen at connect(), so that one local port can serve different destinations.
    (void)::setsockopt(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  } else {
    // So that connections to different destinations can share it, and one that has ended holds it from none.
    (void)::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  if (options.transparent) TRY(set_transparent(socket, source.is_v6()));
  const tcp::endpoint from(source, options.bind_port);
  if (::bind(socket, from.data(), static_cast<socklen_t>(from.size())) != 0) return fail_errno("", errno);
  return {};
}

Result<UniqueFd> prepare(const tcp::endpoint& to, const ConnectOptions& options) {
  UniqueFd fd(::socket(to.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  if (!fd) return fail_errno("", errno);
  if (options.no_delay) (void)set_no_delay(fd.get(), true);
  (void)set_liveness(fd.get(), options.liveness);
  if (const auto* source = source_for(to, options)) TRY(bind_source(fd.get(), *source, options));
  if (to.address().is_loopback()) unpace(fd.get());
  return fd;
}

// Waits until the kernel knows how it went.
void watch(const std::shared_ptr<Race>& race, const std::shared_ptr<Race::Attempt>& attempt) {
  attempt->socket.async_wait(StreamSocket::Direction::out, [race, attempt](bool is_ready) {
    if (race->over || !attempt->running) return;
    if (!is_ready) return finish(*race, *attempt, ECANCELED);
    int why = 0;
    socklen_t length = sizeof why;
    if (::getsockopt(attempt->socket.native_handle(), SOL_SOCKET, SO_ERROR, &why, &length) != 0) why = errno;
    if (why == 0 && !is_connected(attempt->socket.native_handle())) {
      attempt->socket.met_not_now(StreamSocket::Direction::out);
      return watch(race, attempt);
    }
    finish(*race, *attempt, why);
  });
}

/// What has been connected at once, or is under way.
struct Begun {
  StreamSocket socket;
  bool is_connected;
};

/// An errno, if it cannot be.
std::expected<Begun, int> begin(const asio::any_io_executor& executor, const tcp::endpoint& to,
                                const ConnectOptions& options) {
  auto fd = prepare(to, options);
  if (!fd) return std::unexpected(static_cast<int>(fd.error().detail));
  // On this machine the kernel has connected, or been refused, when the call returns, though it does not say
  // so.
  const bool done = ::connect(fd->get(), to.data(), static_cast<socklen_t>(to.size())) == 0;
  const int error = done ? 0 : errno;
  if (!done && error != EINPROGRESS && error != EINTR) return std::unexpected(error);
  const bool connected = done || (to.address().is_loopback() && is_connected(fd->get()));
  if (connected) {
    if (const int wrong = settle(fd->get(), to); wrong != 0) return std::unexpected(wrong);
  }
  auto socket = adopt(executor, fd->release(), to.protocol().family());
  if (!socket) return std::unexpected(static_cast<int>(socket.error().detail));
  return Begun{std::move(*socket), connected};
}

void enter(const std::shared_ptr<Race>& race, std::expected<Begun, int> begun, const tcp::endpoint& to,
           const ConnectOptions& options) {
  if (!begun) return race->failed(begun.error());
  if (begun->is_connected) {
    race->winner = std::move(begun->socket);
    return;
  }
  auto attempt = std::make_shared<Race::Attempt>(std::move(begun->socket), to);
  race->attempts.push_back(attempt);
  ++race->running;
  if (options.attempt_timeout > Duration::zero()) {
    attempt->deadline.expires_after(options.attempt_timeout);
    attempt->deadline.async_wait([race, attempt](boost::system::error_code error) {
      if (!error) finish(*race, *attempt, ETIMEDOUT);
    });
  }
  watch(race, attempt);
}

std::unexpected<Error> connect_failed(int error) {
  Error result = io_error("", error);
  if (result.code != Errc::timed_out) result.code = Errc::system;
  return std::unexpected(std::move(result));
}

/// Sleeps until a handler says that something happened, or until `time` has passed.
asio::awaitable<void> sleep(Timer& timer, std::optional<Duration> time) {
  if (time) {
    timer.expires_after(*time);
  } else {
    timer.expires_at(kNever);
  }
  (void)co_await timer.async_wait(kTuple);
}

}  // namespace

std::vector<tcp::endpoint> interleave_families(std::vector<tcp::endpoint> addresses) {
  if (addresses.size() < 2) return addresses;
  std::vector<tcp::endpoint> first;
  std::vector<tcp::endpoint> second;
  for (const auto& address : addresses) {
    (address.protocol() == addresses.front().protocol() ? first : second).push_back(address);
  }
  std::vector<tcp::endpoint> mixed;
  mixed.reserve(addresses.size());
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) mixed.push_back(first[i]);
    if (i < second.size()) mixed.push_back(second[i]);
  }
  return mixed;
}

asio::awaitable<Result<StreamSocket>> connect_tcp(std::vector<tcp::endpoint> addresses,
                                                  ConnectOptions options) {
  const auto executor = co_await asio::this_coro::executor;
  if (!options.bind_addresses.empty())
    std::erase_if(addresses, [&](const tcp::endpoint& to) { return source_for(to, options) == nullptr; });
  if (addresses.empty()) co_return connect_failed(EAFNOSUPPORT);

  auto order = interleave_families(std::move(addresses));
  if (order.size() > kMostAddresses) order.resize(kMostAddresses);
  auto last_start = monotonic_now();
  auto first = begin(executor, order.front(), options);
  if (first && first->is_connected) co_return std::move(first->socket);

  const auto race = std::make_shared<Race>(executor);
  // Whatever way this coroutine ends, even by being destroyed, no attempt goes on without it.
  const std::unique_ptr<Race, void (*)(Race*)> guard(race.get(), [](Race* owned) { owned->give_up(); });
  enter(race, std::move(first), order.front(), options);
  std::size_t next = 1;
  for (;;) {
    if (race->winner) break;
    const auto now = monotonic_now();
    const bool alone = race->running == 0;
    const bool may_start = next < order.size() && race->running < kMostAttempts;
    if (may_start && (alone || now >= last_start + options.stagger)) {
      last_start = now;
      const tcp::endpoint& to = order[next++];
      enter(race, begin(executor, to, options), to, options);
      continue;
    }
    if (alone) co_return connect_failed(race->best_error);
    std::optional<Duration> pause;
    if (may_start) pause = last_start + options.stagger - now;
    co_await sleep(race->wake, pause);
    if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
  }
  co_return std::move(*race->winner);
}

Result<void> may_be_transparent() {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!fd) return fail_errno("socket", errno);
  const auto set = set_transparent(fd.get(), false);
  if (set) return {};
  return fail(Errc::denied,
              "connecting from the addresses of others needs CAP_NET_ADMIN (setcap cap_net_admin+ep PROGRAM, "
              "or AmbientCapabilities=CAP_NET_ADMIN in its unit)",
              set.error().detail);
}

asio::awaitable<Result<StreamSocket>> connect_unix(std::string path, Duration time) {
  const auto executor = co_await asio::this_coro::executor;
  const auto address = UnixAddress::make(path);
  if (!address) co_return std::unexpected(address.error());

  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) co_return connect_failed(errno);
  // A Unix connect is done at once or not at all. EAGAIN is a full backlog, which no poll reports the end of:
  // ask again.
  const Instant deadline = time > Duration::zero() ? monotonic_now() + time : kNever;
  Timer timer(executor);
  for (auto pause = std::chrono::milliseconds(1);;
       pause = std::min(pause * 2, std::chrono::milliseconds(50))) {
    if (::connect(fd.get(), address->get(), address->size) == 0) break;
    if (errno == EINTR) continue;
    if (errno != EAGAIN) co_return connect_failed(errno);
    if (monotonic_now() >= deadline) co_return connect_failed(ETIMEDOUT);
    timer.expires_after(pause);
    (void)co_await timer.async_wait(kTuple);
    if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
  }
  co_return adopt(executor, fd.release(), AF_UNIX);
}

}  // namespace culvert::net

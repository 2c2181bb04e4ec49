// SPDX-License-Identifier: Apache-2.0
// A look-up may outlive everything: the coroutine that asked, its io_context, the Resolver. So a pool thread
// touches none of them. It holds the pool's state by shared_ptr, and wakes a waiting coroutine by an eventfd
// of which each side owns a descriptor of its own; the coroutine waits on its one in the ordinary way, with
// ordinary cancellation.
#include "net/resolver.hpp"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "net/as_tuple.hpp"
#include "net/cancelled.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

using Addresses = AddressCache::Addresses;

std::vector<tcp::endpoint> with_port(const Addresses& addresses, std::uint16_t port) {
  std::vector<tcp::endpoint> endpoints;
  endpoints.reserve(addresses.size());
  for (const auto& address : addresses) endpoints.emplace_back(address, port);
  return endpoints;
}

std::optional<asio::ip::address> address_of(const addrinfo& info) {
  if (info.ai_family == AF_INET && info.ai_addrlen >= sizeof(sockaddr_in)) {
    sockaddr_in in = {};
    std::memcpy(&in, info.ai_addr, sizeof in);
    return asio::ip::address_v4(ntohl(in.sin_addr.s_addr));
  }
  if (info.ai_family == AF_INET6 && info.ai_addrlen >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in = {};
    std::memcpy(&in, info.ai_addr, sizeof in);
    asio::ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return asio::ip::address_v6(bytes, in.sin6_scope_id);
  }
  return std::nullopt;
}

Result<Addresses> ask_system(const std::string& host, Family family) {
  addrinfo hints = {};
  hints.ai_family = family == Family::ipv4 ? AF_INET : family == Family::ipv6 ? AF_INET6 : AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found);
  const int cause = errno;
  if (error == EAI_SYSTEM) return fail(Errc::not_found, std::generic_category().message(cause), error);
  if (error != 0) return fail(Errc::not_found, ::gai_strerror(error), error);
  Addresses addresses;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    const auto address = address_of(*info);
    if (address && std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) {
      addresses.push_back(*address);
    }
  }
  ::freeaddrinfo(found);
  return addresses;
}

/// An address in digits needs no thread. A name gives none; digits that cannot be meant give an error.
std::optional<Result<asio::ip::address>> literal(const std::string& host, Family family) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) return std::nullopt;
  if (family != Family::any && address.is_v6() != (family == Family::ipv6)) {
    return fail(Errc::not_found, "Address family for hostname not supported", EAI_ADDRFAMILY);
  }
  if (host.find('%') != std::string::npos && address.to_v6().scope_id() == 0) {
    return fail(Errc::not_found, "No such network interface", EAI_NONAME);
  }
  return address;
}

/// One coroutine that waits. Its descriptor is the pool's side of the eventfd.
struct Waiter {
  UniqueFd signal;
  std::optional<Result<Addresses>> answer;
};

struct LookUpJob {
  std::string host;
  Family family;
  std::vector<std::shared_ptr<Waiter>> waiters;
  bool running = false;
};

void answer(Waiter& waiter, Result<Addresses> result) {
  waiter.answer = std::move(result);
  const std::uint64_t one = 1;
  (void)!::write(waiter.signal.get(), &one, sizeof one);  // cannot fail: its counter is at 0
}

}  // namespace

struct Resolver::Pool {
  struct Worker {
    std::thread thread;
    bool busy = false;
  };
  using Key = std::pair<std::string, Family>;

  Pool(unsigned threads, unsigned waiting, LookUp how, Duration lifetime)
      : max_threads(std::max(threads, 1U)),
        max_waiters(std::size_t{max_threads} + waiting),
        look_up(std::move(how)),
        known(lifetime) {}

  std::optional<Addresses> find_known(const std::string& host, Family family) {
    const std::lock_guard lock(mutex);
    const Addresses* addresses = known.find(host, family, monotonic_now());
    return addresses == nullptr ? std::nullopt : std::optional(*addresses);
  }

  Result<std::shared_ptr<Waiter>> enter(const std::shared_ptr<Pool>& self, const std::string& host,
                                        Family family, UniqueFd signal);
  void leave(const std::string& host, Family family, const std::shared_ptr<Waiter>& waiter);
  void work(Worker& me);
  void stop();

  const unsigned max_threads;
  const std::size_t max_waiters;
  const LookUp look_up;

  std::mutex mutex;  ///< guards all below, and every Waiter's answer
  std::condition_variable wake;
  AddressCache known;
  std::map<Key, std::shared_ptr<LookUpJob>> jobs;  ///< queued and running
  std::deque<std::shared_ptr<LookUpJob>> queue;
  std::deque<Worker> workers;  ///< a deque: workers keep references to their own entry
  std::size_t idle = 0;
  std::size_t waiters = 0;
  bool stopped = false;
};

Result<std::shared_ptr<Waiter>> Resolver::Pool::enter(const std::shared_ptr<Pool>& self,
                                                      const std::string& host, Family family,
                                                      UniqueFd signal) {
  const std::lock_guard lock(mutex);
  if (stopped) return cancelled();
  if (waiters >= max_waiters) return fail(Errc::limit, "too many names are being looked up");
  auto& job = jobs[{host, family}];
  if (!job) {
    job = std::make_shared<LookUpJob>(LookUpJob{host, family, {}, false});
    queue.push_back(job);
    if (queue.size() > idle && workers.size() < max_threads) {
      Worker& worker = workers.emplace_back();
      // Signals are for the thread that waits for them, not for one that may sit in a library.
      sigset_t all;
      sigset_t before;
      ::sigfillset(&all);
      ::pthread_sigmask(SIG_SETMASK, &all, &before);
      try {
        worker.thread = std::thread([self, &worker] { self->work(worker); });
      } catch (const std::system_error&) {
        workers.pop_back();
      }
      ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
      if (workers.empty()) {
        jobs.erase({host, family});
        queue.pop_back();
        return fail(Errc::limit, "cannot start a thread to look up names");
      }
    }
    wake.notify_one();
  }
  auto waiter = std::make_shared<Waiter>();
  waiter->signal = std::move(signal);
  job->waiters.push_back(waiter);
  ++waiters;
  return waiter;
}

void Resolver::Pool::leave(const std::string& host, Family family, const std::shared_ptr<Waiter>& waiter) {
  const std::lock_guard lock(mutex);
  --waiters;
  const auto found = jobs.find({host, family});
  if (found == jobs.end()) return;
  const auto job = found->second;
  std::erase(job->waiters, waiter);
  if (job->waiters.empty() && !job->running) {  // nobody wants to know any more
    std::erase(queue, job);
    jobs.erase(found);
  }
}

void Resolver::Pool::work(Worker& me) {
  std::unique_lock lock(mutex);
  for (;;) {
    ++idle;
    wake.wait(lock, [&] { return stopped || !queue.empty(); });
    --idle;
    if (stopped) return;
    const auto job = queue.front();
    queue.pop_front();
    job->running = true;
    me.busy = true;
    lock.unlock();
    auto result = look_up(job->host, job->family);
    if (result && result->empty())
      result = fail(Errc::not_found, "No address associated with hostname", EAI_NODATA);
    lock.lock();
    me.busy = false;
    if (stopped) return;  // all waiters have been answered
    if (result) known.keep(job->host, job->family, *result, monotonic_now());
    for (const auto& waiter : job->waiters) answer(*waiter, result);
    jobs.erase({job->host, job->family});
  }
}

void Resolver::Pool::stop() {
  std::vector<std::thread> to_join;
  {
    const std::lock_guard lock(mutex);
    stopped = true;
    queue.clear();
    for (const auto& [key, job] : jobs) {
      for (const auto& waiter : job->waiters) answer(*waiter, cancelled());
    }
    jobs.clear();
    for (Worker& worker : workers) {
      if (worker.busy) {
        worker.thread.detach();  // inside a look-up that may last: it ends by itself, with what it shares
      } else {
        to_join.push_back(std::move(worker.thread));
      }
    }
    wake.notify_all();
  }
  for (std::thread& thread : to_join) thread.join();
}

Resolver::Resolver(unsigned threads, unsigned waiting) : Resolver(threads, waiting, ask_system) {}

Resolver::Resolver(unsigned threads, unsigned waiting, LookUp look_up, Duration lifetime)
    : pool_(std::make_shared<Pool>(threads, waiting, std::move(look_up), lifetime)) {}

Error cannot_resolve(std::string_view host, Error error) {
  error.message = fmt::format("cannot resolve {}: {}", printable(host), error.message);
  return error;
}

Resolver::~Resolver() { pool_->stop(); }

asio::awaitable<Result<std::vector<tcp::endpoint>>> Resolver::resolve(std::string host, std::uint16_t port,
                                                                      Family family) {
  if (host.empty() || host.size() > 255 || host.find('\0') != std::string::npos) {
    co_return fail(Errc::not_found, "Name or service not known", EAI_NONAME);
  }
  if (auto known = literal(host, family)) {
    const auto address = CO_TRY(std::move(*known));
    co_return std::vector<tcp::endpoint>{{address, port}};
  }
  if (const auto known = pool_->find_known(host, family)) co_return with_port(*known, port);
  const auto executor = co_await asio::this_coro::executor;
  const auto pool = pool_;
  UniqueFd theirs(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!theirs) co_return fail_errno("cannot look a name up", errno);
  UniqueFd mine(::fcntl(theirs.get(), F_DUPFD_CLOEXEC, 0));
  if (!mine) co_return fail_errno("cannot look a name up", errno);
  asio::posix::stream_descriptor signal(executor);
  boost::system::error_code error;
  signal.assign(mine.get(), error);
  if (error) co_return fail_errno("cannot look a name up", error.value());
  (void)mine.release();

  const auto waiter = CO_TRY(pool->enter(pool, host, family, std::move(theirs)));
  struct Membership {
    Pool& pool;
    const std::string& host;
    Family family;
    const std::shared_ptr<Waiter>& waiter;
    ~Membership() { pool.leave(host, family, waiter); }
  };
  const Membership membership{*pool, host, family, waiter};

  (void)co_await signal.async_wait(asio::posix::descriptor_base::wait_read, kTuple);
  if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
  std::optional<Result<Addresses>> answered;
  {
    const std::lock_guard lock(pool->mutex);
    answered = std::move(waiter->answer);
  }
  if (!answered) co_return cancelled();
  co_return with_port(CO_TRY(std::move(*answered)), port);
}

}  // namespace culvert::net

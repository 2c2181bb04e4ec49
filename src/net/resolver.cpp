// SPDX-License-Identifier: Apache-2.0
// A look-up may outlive everything: the coroutine that asked, its io_context, the Resolver. So a pool thread
// touches none of them. It holds the pool's state by shared_ptr, and wakes a waiting coroutine by an eventfd
// of which each side owns a descriptor of its own; the coroutine waits on its one in the ordinary way, with
// ordinary cancellation. Not by a post (post_from_outside()): a context that ends at that moment throws away
// what is queued without Asio's lock.
#include "net/resolver.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
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
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "net/cancelled.hpp"
#include "net/unique_fd.hpp"
#include "net/watched_fd.hpp"

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

/// The index of an interface, by that or its name; 0: there is none. Asio takes the digits that a zone begins
/// with, and "ADDRESS%1.example.org" passes for a name with whoever judges names.
unsigned interface_of(const std::string& zone) {
  unsigned index = 0;
  const char* const end = zone.data() + zone.size();
  const auto read = std::from_chars(zone.data(), end, index);
  return read.ec == std::errc() && read.ptr == end ? index : ::if_nametoindex(zone.c_str());
}

/// An address in digits needs no thread. A name gives none; digits that cannot be meant give an error.
std::optional<Result<asio::ip::address>> literal(const std::string& host, Family family) {
  boost::system::error_code error;
  const std::size_t percent = host.find('%');
  auto address = asio::ip::make_address(host.substr(0, percent), error);
  const bool has_zone = percent != host.npos;
  if (error || (has_zone && address.is_v4())) return std::nullopt;
  if (family != Family::any && address.is_v6() != (family == Family::ipv6)) {
    return fail(Errc::not_found, "Address family for hostname not supported", EAI_ADDRFAMILY);
  }
  if (has_zone) {
    const unsigned zone = interface_of(host.substr(percent + 1));
    if (zone == 0) return fail(Errc::not_found, "No such network interface", EAI_NONAME);
    address = asio::ip::address_v6(address.to_v6().to_bytes(), zone);
  }
  return address;
}

/// getaddrinfo() undoes the escapes of master files (RFC 1035 section 5.1): "b\097d" would find "bad", which
/// whoever judges names takes for two.
bool may_be_host(std::string_view host) {
  constexpr std::string_view kNever("\\\0", 2);
  return !host.empty() && host.size() <= 255 && host.find_first_of(kNever) == host.npos;
}

struct Queue;

/// One coroutine that waits. Its descriptor is the pool's side of the eventfd.
struct Waiter {
  UniqueFd signal;
  Queue& queue;  ///< of its requester; lasts while there are waiters in it
  std::optional<Result<Addresses>> answer;
};

struct LookUpJob {
  std::string host;
  Family family;
  std::vector<std::shared_ptr<Waiter>> waiters;
  bool running = false;

  [[nodiscard]] bool is_wanted_by(const Queue& queue) const {
    return std::ranges::any_of(waiters, [&](const auto& waiter) { return &waiter->queue == &queue; });
  }
};

/// What one requester wants. A job that several want stands in the queue of each: the first whose turn it is
/// has it run.
struct Queue {
  const std::string requester;
  std::deque<std::shared_ptr<LookUpJob>> jobs = {};  ///< that do not run yet
  std::size_t running = 0;
  std::size_t waiters = 0;
  std::size_t ready = 0;  ///< of the jobs: those that may run now

  [[nodiscard]] bool is_ours() const { return requester.empty(); }
  [[nodiscard]] bool is_full() const {
    return !is_ours() && (waiters >= Resolver::kQuestionsOfOne || jobs.size() >= Resolver::kNamesOfOne);
  }
  [[nodiscard]] std::size_t may_run() const {
    if (is_ours()) return jobs.size();
    return std::min(jobs.size(), Resolver::kRunningOfOne - running);
  }
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

  Result<std::shared_ptr<Waiter>> enter(const std::shared_ptr<Pool>& self, const Key& name,
                                        const Requester& requester, UniqueFd signal);
  void leave(const Key& name, const std::shared_ptr<Waiter>& waiter);
  void work(Worker& me);
  void stop();

  void put_in(Queue& queue, const std::shared_ptr<LookUpJob>& job);
  void take_out(Queue& queue, const std::shared_ptr<LookUpJob>& job);
  void count_ready(Queue& queue);
  void forget_if_unused(Queue& queue);
  void start_worker(const std::shared_ptr<Pool>& self);

  const unsigned max_threads;
  const std::size_t max_waiters;
  const LookUp look_up;

  std::mutex mutex;  ///< guards all below, and every Waiter's answer
  std::condition_variable wake;
  AddressCache known;
  std::map<Key, std::shared_ptr<LookUpJob>> jobs;  ///< queued and running
  std::map<Requester, Queue> queues;               ///< of requesters that have waiters, or jobs that run
  std::deque<Queue*> turns;                        ///< those that have ready jobs; the next one in front
  std::deque<Worker> workers;                      ///< a deque: workers keep references to their own entry
  std::size_t idle = 0;
  std::size_t ready = 0;  ///< in all queues
  std::size_t waiters = 0;
  bool stopped = false;
};

Result<std::shared_ptr<Waiter>> Resolver::Pool::enter(const std::shared_ptr<Pool>& self, const Key& name,
                                                      const Requester& requester, UniqueFd signal) {
  const std::lock_guard lock(mutex);
  if (stopped) return cancelled();
  Queue& queue = queues.try_emplace(requester, Queue{requester}).first->second;
  if (waiters >= max_waiters || queue.is_full()) {
    forget_if_unused(queue);
    return fail(Errc::limit, "too many names are being looked up");
  }
  auto& job = jobs[name];
  if (!job) job = std::make_shared<LookUpJob>(LookUpJob{name.first, name.second, {}, false});
  if (!job->running && !job->is_wanted_by(queue)) {
    put_in(queue, job);
    if (ready > idle && workers.size() < max_threads) start_worker(self);
    if (workers.empty()) {
      take_out(queue, job);
      jobs.erase(name);
      forget_if_unused(queue);
      return fail(Errc::limit, "cannot start a thread to look up names");
    }
    wake.notify_one();
  }
  auto waiter = std::make_shared<Waiter>(Waiter{std::move(signal), queue, {}});
  job->waiters.push_back(waiter);
  ++queue.waiters;
  ++waiters;
  return waiter;
}

void Resolver::Pool::leave(const Key& name, const std::shared_ptr<Waiter>& waiter) {
  const std::lock_guard lock(mutex);
  Queue& queue = waiter->queue;
  --waiters;
  --queue.waiters;
  const auto found = jobs.find(name);
  if (found != jobs.end() && std::erase(found->second->waiters, waiter) != 0 && !found->second->running) {
    const auto job = found->second;
    if (!job->is_wanted_by(queue)) take_out(queue, job);
    if (job->waiters.empty()) jobs.erase(found);  // nobody wants to know any more
  }
  forget_if_unused(queue);
}

void Resolver::Pool::work(Worker& me) {
  std::unique_lock lock(mutex);
  for (;;) {
    ++idle;
    wake.wait(lock, [&] { return stopped || ready != 0; });
    --idle;
    if (stopped) return;
    Queue& queue = *turns.front();
    turns.pop_front();
    turns.push_back(&queue);
    const auto job = queue.jobs.front();
    job->running = true;
    ++queue.running;
    for (const auto& waiter : job->waiters) take_out(waiter->queue, job);
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
    --queue.running;
    count_ready(queue);
    forget_if_unused(queue);
  }
}

void Resolver::Pool::put_in(Queue& queue, const std::shared_ptr<LookUpJob>& job) {
  queue.jobs.push_back(job);
  count_ready(queue);
}

void Resolver::Pool::take_out(Queue& queue, const std::shared_ptr<LookUpJob>& job) {
  std::erase(queue.jobs, job);
  count_ready(queue);
}

void Resolver::Pool::count_ready(Queue& queue) {
  const std::size_t before = std::exchange(queue.ready, queue.may_run());
  ready += queue.ready - before;
  if (before == 0 && queue.ready != 0) turns.push_back(&queue);
  if (before != 0 && queue.ready == 0) std::erase(turns, &queue);
}

void Resolver::Pool::forget_if_unused(Queue& queue) {
  if (queue.waiters == 0 && queue.running == 0) queues.erase(queues.find(queue.requester));
}

void Resolver::Pool::start_worker(const std::shared_ptr<Pool>& self) {
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
}

void Resolver::Pool::stop() {
  std::vector<std::thread> to_join;
  {
    const std::lock_guard lock(mutex);
    stopped = true;
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
                                                                      Family family, Requester requester) {
  if (!may_be_host(host)) {
    co_return fail(Errc::not_found, "Name or service not known", EAI_NONAME);
  }
  if (auto known = literal(host, family)) {
    const auto address = CO_TRY(std::move(*known));
    co_return std::vector<tcp::endpoint>{{address, port}};
  }
  if (const auto known = pool_->find_known(host, family)) co_return with_port(*known, port);
  if (is_cancelled(co_await asio::this_coro::cancellation_state)) co_return cancelled();
  const auto executor = co_await asio::this_coro::executor;
  const auto pool = pool_;
  UniqueFd theirs(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!theirs) co_return fail_errno("cannot look a name up", errno);
  UniqueFd mine(::fcntl(theirs.get(), F_DUPFD_CLOEXEC, 0));
  if (!mine) co_return fail_errno("cannot look a name up", errno);
  WatchedFd signal = CO_TRY(WatchedFd::watch(executor, std::move(mine)));

  const Pool::Key name(std::move(host), family);
  const auto waiter = CO_TRY(pool->enter(pool, name, requester, std::move(theirs)));
  struct Membership {
    Pool& pool;
    const Pool::Key& name;
    const std::shared_ptr<Waiter>& waiter;
    ~Membership() { pool.leave(name, waiter); }
  };
  const Membership membership{*pool, name, waiter};

  (void)co_await signal.wait_readable();
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

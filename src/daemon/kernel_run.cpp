// SPDX-License-Identifier: Apache-2.0
#include "daemon/kernel_run.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <utility>

#include <fmt/format.h>
#include <boost/asio/this_coro.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "engine/mapper/hindrances.hpp"
#include "net/addresses.hpp"
#include "net/as_tuple.hpp"
#include "net/forwarding.hpp"
#include "net/on_thread.hpp"
#include "net/timer.hpp"

namespace culvert::daemon {

namespace asio = boost::asio;

namespace {

constexpr Duration kLookUpInterval = std::chrono::seconds(30);
constexpr Duration kRetryInterval = std::chrono::seconds(1);
constexpr Duration kRepairInterval = std::chrono::milliseconds(50);

// One address of each family: where a name has several, the one that is in use, or else the first.
std::vector<IpAddress> one_of_each(const std::vector<asio::ip::tcp::endpoint>& found,
                                   const std::vector<IpAddress>& in_use) {
  std::vector<IpAddress> all;
  all.reserve(found.size());
  for (const auto& endpoint : found) all.push_back(net::ip_address_of(endpoint.address()));
  std::vector<IpAddress> chosen;
  for (const bool is_v4 : {true, false}) {
    const auto is_used = [&](const IpAddress& address) {
      return address.is_v4() == is_v4 && std::ranges::find(in_use, address) != in_use.end();
    };
    auto one = std::ranges::find_if(all, is_used);
    if (one == all.end()) one = std::ranges::find(all, is_v4, &IpAddress::is_v4);
    if (one != all.end()) chosen.push_back(*one);
  }
  return chosen;
}

std::vector<nft::Mapping> mappings_named(const std::vector<nft::Mapping>& all, const std::string& name) {
  std::vector<nft::Mapping> found;
  std::ranges::copy_if(all, std::back_inserter(found),
                       [&](const nft::Mapping& mapping) { return mapping.name == name; });
  return found;
}

std::vector<IpAddress> targets_of(const std::vector<nft::Mapping>& mappings) {
  std::vector<IpAddress> targets;
  for (const nft::Mapping& mapping : mappings)
    targets.insert(targets.end(), mapping.targets.begin(), mapping.targets.end());
  return targets;
}

// Of "any address": clients of a family that the target has no address of are not served.
std::string_view families_served(const nft::Mapping& mapping) {
  const auto has = [&](bool is_v4) {
    return std::ranges::find(mapping.targets, is_v4, &IpAddress::is_v4) != mapping.targets.end();
  };
  if (mapping.at || (has(true) && has(false))) return "";
  return has(true) ? ", for IPv4 alone" : ", for IPv6 alone";
}

// Those lines that were not there before.
void tell_new(std::set<std::string>& told, std::set<std::string> now) {
  for (const std::string& line : now)
    if (!told.contains(line)) log_event(LogLevel::warning, "hindrance", "{}", line);
  told = std::move(now);
}

// What cannot be the target of packets that come from elsewhere.
Result<void> check_target(const KernelForward& forward, const IpAddress& address) {
  const auto range = known_range(address);
  if (!range || range->kind == AddressKind::metadata || range->kind == AddressKind::transition) return {};
  return fail(Errc::usage,
              fmt::format("cannot map {} in the kernel: {} is {}, where packets from elsewhere do not go{}",
                          forward.name, address.text(), describe(range->kind),
                          range->kind == AddressKind::loopback ? " (without --kernel it works)" : ""));
}

void tell_removed(const std::vector<std::string>& names) {
  for (const std::string& name : names)
    log_event(LogLevel::notice, "rules", "removed table inet {}, which was left behind", field("table", name),
              field("did", "removed"));
}

}  // namespace

KernelRun::KernelRun(asio::any_io_executor executor, const KernelPlan& plan, net::Resolver& resolver)
    : executor_(std::move(executor)),
      plan_(plan),
      resolver_(resolver),
      changed_(executor_),
      tasks_(changed_, log_broken_task) {}

KernelRun::~KernelRun() {
  helper_.join();
  remove();
}

relay::Task<Result<void>> KernelRun::start() {
  if (plan_.action == KernelPlan::Action::clean) {
    const auto removed = co_await net::on_thread(helper_, [] { return mapper::remove_left_behind(); });
    if (!removed) co_return std::unexpected(removed.error());
    tell_removed(*removed);
    co_return Result<void>();
  }
  auto rules = co_await resolved();
  if (!rules) co_return std::unexpected(rules.error());
  if (const auto both = nft::overlap(*rules))
    co_return fail(Errc::usage, fmt::format("{} and {} take the same port", both->first, both->second));
  if (plan_.action == KernelPlan::Action::keep) co_return co_await install(std::move(*rules));
  rules->label = "culvert map --kernel";
  const std::string text = nft::to_text(*rules);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    co_return fail_errno("cannot print the rules", errno);
  co_return Result<void>();
}

// What cannot be had now stays as it is, if there is something of it.
relay::Task<Result<nft::RuleSet>> KernelRun::resolved() {
  nft::RuleSet rules;
  rules.masquerade = plan_.masquerade;
  std::set<std::string> stays;
  for (const KernelForward& forward : plan_.forwards) {
    auto mappings = co_await mappings_of(forward);
    if (!mappings && mappings.error().code == Errc::cancelled) co_return std::unexpected(mappings.error());
    if (!mappings) {
      auto before = mappings_named(mappings_, forward.name);
      if (before.empty()) co_return std::unexpected(mappings.error());
      stays.insert(fmt::format("{}; {} stays as it is", mappings.error().message, forward.name));
      mappings = std::move(before);
    }
    std::ranges::move(*mappings, std::back_inserter(rules.mappings));
  }
  tell_new(stays_, std::move(stays));
  co_return rules;
}

// One for each address that it is bound to.
relay::Task<Result<std::vector<nft::Mapping>>> KernelRun::mappings_of(const KernelForward& forward) {
  const auto found = co_await resolver_.resolve(forward.host, forward.target_port);
  if (!found) co_return std::unexpected(net::cannot_resolve(forward.host, found.error()));
  nft::Mapping mapping{.protocol = forward.protocol,
                       .port = forward.port,
                       .ports = forward.ports,
                       .targets = one_of_each(*found, targets_of(mappings_named(mappings_, forward.name))),
                       .target_port = forward.target_port,
                       .name = forward.name};
  for (const IpAddress& target : mapping.targets) CO_TRY(check_target(forward, target));
  if (forward.bind == "*") co_return std::vector{std::move(mapping)};

  const auto places = co_await resolver_.resolve(forward.bind, forward.port);
  if (!places) co_return std::unexpected(net::cannot_resolve(forward.bind, places.error()));
  std::vector<nft::Mapping> mappings;
  for (const auto& place : *places) {
    nft::Mapping one = mapping;
    const IpAddress at = net::ip_address_of(place.address());
    std::erase_if(one.targets, [&](const IpAddress& target) { return target.is_v4() != at.is_v4(); });
    if (!at.is_unspecified()) one.at = at;
    if (!one.targets.empty()) mappings.push_back(std::move(one));
  }
  if (mappings.empty())
    co_return fail(Errc::usage,
                   fmt::format("cannot map {} in the kernel: a packet keeps its family, and {} has "
                               "no address of that of {}",
                               forward.name, printable(forward.host), printable(forward.bind)));
  co_return mappings;
}

relay::Task<Result<void>> KernelRun::install(nft::RuleSet rules) {
  const auto done = co_await net::on_thread(helper_, [&] { return take_and_install(std::move(rules)); });
  if (!done) co_return done;
  // What happened before the watch began is looked at once.
  auto watch = net::NftWatch::open(executor_, table_->name());
  if (!watch) co_return std::unexpected(watch.error());
  watch_.emplace(std::move(*watch));
  mappings_ = table_->mappings();
  auto forwarding = net::ForwardingWatch::open(executor_);
  if (!forwarding) co_return std::unexpected(forwarding.error());
  forwarding_watch_.emplace(std::move(*forwarding));
  rules_changed_ = forwarding_changed_ = true;
  for (const nft::Mapping& mapping : table_->mappings()) {
    log_event(LogLevel::notice, "forward_up", "map {} up, in the kernel{}", field("mapping", mapping.name),
              families_served(mapping), field("table", table_->name()));
  }
  co_await tell_hindrances();
  co_return Result<void>();
}

Result<void> KernelRun::take_and_install(nft::RuleSet rules) {
  table_.emplace(TRY(mapper::KernelTable::take(std::move(rules), plan_.persist)));
  const std::vector<std::string> left_behind = table_->left_behind();
  if (plan_.enable_forwarding) {
    const mapper::Families off = mapper::unforwarded(table_->mappings());
    TRY(enable(off));
  }
  TRY(table_->install());
  tell_removed(left_behind);
  return {};
}

Result<void> KernelRun::enable(const mapper::Families& off) {
  if (off.v6 && !std::exchange(warned_of_routers_, true)) {
    for (const std::string& interface : net::interfaces_that_need_advertisements())
      log_event(LogLevel::warning, "hindrance",
                "with net.ipv6.conf.all.forwarding this machine no longer listens to routers on {0}, and may "
                "lose its default route: sysctl net.ipv6.conf.{0}.accept_ra=2 prevents that",
                printable(interface));
  }
  return table_->enable_forwarding(off);
}

relay::Task<Result<void>> KernelRun::serve() {
  if (!watch_) co_return Result<void>();  // there was nothing to keep
  tasks_.spawn(watch_rules());
  tasks_.spawn(watch_forwarding());
  tasks_.spawn(look_names_up(), give_up_.slot());
  Instant next_look = monotonic_now();
  while (!is_stopping_) {
    const Instant now = monotonic_now();
    if (rules_changed_ && now >= next_repair_) {
      co_await put_back();
    } else if (forwarding_changed_ && now >= next_forwarding_) {
      co_await set_forwarding_again();
    } else if (others_changed_ && now >= next_look) {
      // Whoever reloads a firewall makes many changes.
      others_changed_ = false;
      next_look = now + kRetryInterval;
      co_await tell_hindrances();
    } else if (std::exchange(is_asked_, false)) {
      co_await tell_traffic();
    } else if (looked_up_) {
      co_await follow_names(*std::exchange(looked_up_, std::nullopt));
      forwarding_changed_ = others_changed_ = true;  // what needs them may be another now, and routes, too
    } else {
      Instant next = kNever;
      if (rules_changed_) next = std::min(next, next_repair_);
      if (forwarding_changed_) next = std::min(next, next_forwarding_);
      if (others_changed_) next = std::min(next, next_look);
      co_await (next == kNever ? changed_.wait() : changed_.wait(next - now));
    }
  }
  give_up_.emit(asio::cancellation_type::terminal);
  watch_->close();
  forwarding_watch_->close();
  co_await tasks_.all_ended();
  co_await tell_traffic();
  co_await net::on_thread(helper_, [this] { remove(); });
  co_return Result<void>();
}

relay::Task<void> KernelRun::put_back() {
  rules_changed_ = false;
  const auto done = co_await net::on_thread(helper_, [this] { return table_->repair(); });
  if (!done) {
    log_event(LogLevel::error, "rules", "cannot put the rules of table inet {} back: {}",
              field("table", table_->name()), field("reason", done.error().message));
    rules_changed_ = true;
    next_repair_ = monotonic_now() + kRetryInterval;
  } else if (*done) {
    next_repair_ = monotonic_now() + kRepairInterval;
    log_event(put_back_.is_due(monotonic_now()) ? LogLevel::warning : LogLevel::verbose, "rules",
              "somebody has changed table inet {}: put it back", field("table", table_->name()),
              field("did", "put_back"));
  }
}

relay::Task<void> KernelRun::set_forwarding_again() {
  forwarding_changed_ = false;
  if (!plan_.enable_forwarding) co_return;
  const auto done = co_await net::on_thread(helper_, [this]() -> Result<mapper::Families> {
    const mapper::Families off = mapper::unforwarded(table_->mappings());
    TRY(enable(off));
    return off;
  });
  if (!done) {
    if (forwarding_said_.is_due(monotonic_now()))
      log_event(LogLevel::error, "rules", "{}", field("reason", done.error().message));
    co_return;
  }
  for (const bool is_v4 : {true, false}) {
    if (!(is_v4 ? done->v4 : done->v6)) continue;
    next_forwarding_ = monotonic_now() + kRepairInterval;
    log_event(forwarding_said_.is_due(monotonic_now()) ? LogLevel::warning : LogLevel::verbose, "rules",
              "{} was 0: set it to 1", field("setting", net::Forwarding{is_v4}.name()),
              field("did", "put_back"));
  }
}

relay::Task<void> KernelRun::tell_hindrances() {
  using Lines = Result<std::vector<std::string>>;
  const auto lines = co_await net::on_thread(helper_, [this]() -> Lines {
    const auto others = TRY(table_->others());
    nft::RuleSet rules;
    rules.masquerade = plan_.masquerade;
    rules.mappings = table_->mappings();
    return mapper::hindrances(rules, others);
  });
  if (!lines) {
    log(LogLevel::warning, "cannot look for what keeps the mappings from working: {}", lines.error().message);
    co_return;
  }
  tell_new(told_, {lines->begin(), lines->end()});
}

relay::Task<void> KernelRun::tell_traffic() {
  const auto all = co_await net::on_thread(helper_, [this] { return table_->traffic(); });
  if (!all) {
    log(LogLevel::warning, "cannot read what the mappings have carried: {}", all.error().message);
    co_return;
  }
  for (std::size_t i = 0; i < all->size(); ++i) {
    const nft::Traffic& traffic = (*all)[i];
    if (traffic == nft::Traffic()) continue;
    log_event(LogLevel::notice, "traffic",
              "{}: {} connections, {} bytes in {} packets to the target, {} in {} back",
              field("mapping", table_->mappings()[i].name), field("connections", traffic.connections),
              field("bytes_to", traffic.bytes_to), field("packets_to", traffic.packets_to),
              field("bytes_back", traffic.bytes_back), field("packets_back", traffic.packets_back));
  }
}

// Beside serve(): a name server may be silent for long, and rules are put back and removed meanwhile.
relay::Task<void> KernelRun::look_names_up() {
  co_await asio::this_coro::throw_if_cancelled(false);
  net::Timer pause(executor_);
  for (;;) {
    pause.expires_after(kLookUpInterval);
    (void)co_await pause.async_wait(net::kTuple);
    if (is_stopping_) co_return;
    auto rules = co_await resolved();
    if (is_stopping_) co_return;
    if (!rules) continue;
    looked_up_ = std::move(*rules);
    changed_.wake();
  }
}

relay::Task<void> KernelRun::follow_names(nft::RuleSet rules) {
  // Who deletes the table takes its counters along: what they said a while ago is not lost.
  (void)co_await net::on_thread(helper_, [this] { return table_->traffic(); });
  const auto targets_differ = [](const nft::Mapping& a, const nft::Mapping& b) {
    return a.targets != b.targets || a.at != b.at;
  };
  if (std::ranges::equal(rules.mappings, mappings_, std::not_fn(targets_differ))) co_return;
  if (const auto both = nft::overlap(rules)) {
    if (overlap_.is_due(monotonic_now()))
      log_event(LogLevel::warning, "hindrance",
                "{} and {} take the same port now: the rules stay as they are", both->first, both->second);
    co_return;
  }
  const auto done =
      co_await net::on_thread(helper_, [&] { return table_->change(std::move(rules.mappings)); });
  if (!done) {
    log_event(LogLevel::error, "rules", "cannot change table inet {}: {}", field("table", table_->name()),
              field("reason", done.error().message));
    rules_changed_ = true;
    co_return;
  }
  mappings_ = table_->mappings();
  log_event(LogLevel::notice, "rules", "names have other addresses now: changed table inet {}",
            field("table", table_->name()), field("did", "changed"));
}

relay::Task<void> KernelRun::watch_rules() {
  while (const auto change = co_await watch_->changed()) {
    rules_changed_ |= change->ours;
    others_changed_ |= change->others;
    changed_.wake();
  }
}

relay::Task<void> KernelRun::watch_forwarding() {
  while (co_await forwarding_watch_->changed()) {
    forwarding_changed_ = others_changed_ = true;
    changed_.wake();
  }
}

void KernelRun::stop(Duration) {
  is_stopping_ = true;
  changed_.wake();
}

void KernelRun::tell() {
  is_asked_ = true;
  changed_.wake();
}

void KernelRun::remove() {
  if (!table_) return;
  if (!plan_.persist) {
    const auto done = table_->remove();
    if (!done) log_event(LogLevel::error, "rules", "{}", field("reason", done.error().message));
  }
  table_.reset();
}

}  // namespace culvert::daemon

// SPDX-License-Identifier: Apache-2.0
#include "engine/mapper/kernel_table.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/time.hpp"
#include "net/namespace_lock.hpp"

namespace culvert::mapper {
namespace {

using net::NftTables;

constexpr std::string_view kLabel = "culvert map --kernel";
constexpr std::string_view kKeptLabel = "culvert map --kernel --persist";
constexpr std::uint8_t kMostTables = 64;
// Of net::hold_number(): the tables have theirs.
constexpr std::uint8_t kTurn = 0;
constexpr Duration kLongestTurn = std::chrono::seconds(2), kPause = std::chrono::milliseconds(5);

std::string name_of(std::uint8_t number) {
  return number == 1 ? std::string("culvert") : fmt::format("culvert-{}", number);
}

// Of a table of ours. Somebody else's may have any name, but not our label.
std::optional<std::uint8_t> number_of(const nft::Table& table) {
  if (table.family != "inet" || !table.label.starts_with(kLabel)) return std::nullopt;
  for (std::uint8_t number = 1; number <= kMostTables; ++number)
    if (table.name == name_of(number)) return number;
  return std::nullopt;
}

bool is_ours(const nft::Table& table) { return number_of(table).has_value(); }

bool is_kept(const nft::Table& table) { return table.label.starts_with(kKeptLabel); }

// One culvert at a time looks which tables there are, and changes that. Who gets no turn goes on: another one
// hangs, and two who start at the same moment are rare.
std::optional<net::UniqueFd> take_turn() {
  for (Duration waited{}; waited < kLongestTurn; waited += kPause) {
    auto turn = net::hold_number(kTurn);
    if (!turn || *turn) return turn ? std::move(*turn) : std::nullopt;
    std::this_thread::sleep_for(kPause);
  }
  return std::nullopt;
}

// In outline.
Result<std::vector<nft::Table>> all_tables(NftTables& tables) {
  const auto listing = tables.list("list ruleset", NftTables::Detail::outline);
  if (!listing)
    return fail(listing.error().code, "cannot read the rules of nftables: " + listing.error().message);
  return nft::read_listing(*listing);
}

// After a table of ours is gone. Who removes the last one gives forwarding back, whoever has switched it on.
Result<void> settle(NftTables& tables, ForwardingLoan& loan) {
  const auto left = TRY(all_tables(tables));
  if (std::ranges::any_of(left, is_ours)) return {};
  return loan.give_back(tables);
}

std::string list_command(std::string_view table) { return fmt::format("list table inet {}", table); }

// What a table takes for itself.
Result<std::vector<nft::Key>> keys_of(NftTables& tables, const nft::Table& table) {
  const auto listing = tables.list(list_command(table.name), NftTables::Detail::whole);
  if (!listing && listing.error().code != Errc::not_found) return std::unexpected(listing.error());
  auto whole = nft::read_listing(listing.value_or(""));
  return whole.empty() ? std::vector<nft::Key>() : std::move(whole.front().keys);
}

// The mapping that takes what somebody else has already.
const nft::Mapping* taken_by(const std::vector<nft::Key>& others, const nft::RuleSet& rules) {
  const auto is_taken = [&](const nft::Key& key) {
    return std::ranges::any_of(others, [&](const nft::Key& other) { return key.competes_with(other); });
  };
  const auto found = std::ranges::find_if(rules.mappings, [&](const nft::Mapping& mapping) {
    return std::ranges::any_of(nft::keys_of(mapping), is_taken);
  });
  return found == rules.mappings.end() ? nullptr : &*found;
}

}  // namespace

Result<KernelTable> KernelTable::take(nft::RuleSet rules, bool is_kept) {
  KernelTable table(TRY(NftTables::open()), std::move(rules), is_kept);
  table.turn_ = take_turn();
  TRY(table.loan_.read(table.tables_));
  TRY(table.choose(TRY(all_tables(table.tables_))));
  return table;
}

Result<void> KernelTable::choose(const std::vector<nft::Table>& installed) {
  std::set<std::string> taken;
  std::string own;
  for (const nft::Table& table : installed) {
    if (table.family != "inet") continue;
    taken.insert(table.name);
    const auto number = number_of(table);
    if (!number) continue;
    auto held = TRY(net::hold_number(*number));
    const nft::Mapping* common = taken_by(TRY(keys_of(tables_, table)), rules_);
    if (!held) {
      if (common == nullptr) continue;
      return fail(Errc::usage, fmt::format("cannot map {}: another culvert does already (table inet {})",
                                           common->name, table.name));
    }
    if (culvert::mapper::is_kept(table) && common == nullptr) continue;
    left_behind_.push_back(table.name);
    if (own.empty()) {
      own = table.name;
      held_ = std::move(held);
    } else {
      held_until_installed_.push_back(std::move(*held));
    }
  }
  for (std::uint8_t number = 1; own.empty(); ++number) {
    if (number > kMostTables)
      return fail(Errc::limit,
                  fmt::format("all names for a table are taken, from culvert to {}", name_of(kMostTables)));
    if (taken.contains(name_of(number))) continue;
    auto held = TRY(net::hold_number(number));
    if (!held) continue;
    held_ = std::move(held);
    own = name_of(number);
  }
  rules_.table = own;
  return {};
}

Result<void> KernelTable::enable_forwarding(Families families) {
  const auto turn = turn_ ? std::nullopt : take_turn();
  return loan_.take(tables_, families);
}

Result<void> KernelTable::install() {
  rules_.label = is_kept_ ? kKeptLabel : kLabel;
  std::string commands = loan_.text();
  for (const std::string& name : left_behind_) {
    if (name != rules_.table) commands += fmt::format("add table inet {}\n{}", name, nft::remove_text(name));
  }
  const auto done = tables_.run(commands + nft::replace_text(rules_));
  if (!done) return fail(done.error().code, "cannot install the rules: " + done.error().message);
  left_behind_.clear();
  held_until_installed_.clear();
  turn_.reset();
  installed_ = TRY(tables_.list(list_command(rules_.table), NftTables::Detail::whole));
  return {};
}

Result<bool> KernelTable::repair() {
  const auto there = tables_.list(list_command(rules_.table), NftTables::Detail::whole);
  if (there && *there == installed_) return false;
  if (!there && there.error().code != Errc::not_found) return std::unexpected(there.error());
  (void)traffic();  // what is still there of it
  TRY(install());
  return true;
}

Result<void> KernelTable::change(std::vector<nft::Mapping> mappings) {
  (void)traffic();
  for (nft::Mapping& mapping : mappings) {
    // Of one name there can be several, each at an address of its own.
    const auto before = std::ranges::find_if(rules_.mappings, [&](const nft::Mapping& one) {
      return one.name == mapping.name && one.at == mapping.at;
    });
    if (before != rules_.mappings.end()) mapping.traffic = before->traffic;
  }
  // Those that are there are what a repair compares with, and the next change.
  auto before = std::exchange(rules_.mappings, std::move(mappings));
  auto done = install();
  if (!done) rules_.mappings = std::move(before);
  return done;
}

Result<std::vector<nft::Traffic>> KernelTable::traffic() {
  const auto tables =
      nft::read_listing(TRY(tables_.list(list_command(rules_.table), NftTables::Detail::counters)));
  std::vector<nft::Traffic> all;
  for (std::size_t i = 0; i < rules_.mappings.size(); ++i) {
    // A counter that is gone counts from where it was last seen.
    nft::Traffic& last = rules_.mappings[i].traffic;
    const nft::Traffic now = tables.empty() ? nft::Traffic() : nft::traffic_of(tables.front(), i);
    last = {.connections = std::max(last.connections, now.connections),
            .packets_to = std::max(last.packets_to, now.packets_to),
            .bytes_to = std::max(last.bytes_to, now.bytes_to),
            .packets_back = std::max(last.packets_back, now.packets_back),
            .bytes_back = std::max(last.bytes_back, now.bytes_back)};
    all.push_back(last);
  }
  return all;
}

Result<std::vector<nft::Table>> KernelTable::others() {
  auto tables = TRY(all_tables(tables_));
  std::erase_if(
      tables, [](const nft::Table& table) { return is_ours(table) || ForwardingLoan::is_its_table(table); });
  return tables;
}

Result<void> KernelTable::remove() {
  const auto turn = turn_ ? std::exchange(turn_, std::nullopt) : take_turn();
  const auto done = tables_.run(nft::remove_text(rules_.table));
  if (!done && done.error().code != Errc::not_found)
    return fail(done.error().code, "cannot remove the rules: " + done.error().message);
  return settle(tables_, loan_);
}

Result<std::vector<std::string>> remove_left_behind() {
  const auto turn = take_turn();
  NftTables tables = TRY(NftTables::open());
  std::vector<std::string> removed;
  for (const nft::Table& table : TRY(all_tables(tables))) {
    const auto number = number_of(table);
    if (!number) continue;
    const auto held = TRY(net::hold_number(*number));
    if (!held) continue;
    const auto done = tables.run(nft::remove_text(table.name));
    if (!done)
      return fail(done.error().code,
                  fmt::format("cannot remove table inet {}: {}", table.name, done.error().message));
    removed.push_back(table.name);
  }
  ForwardingLoan loan;
  TRY(settle(tables, loan));
  return removed;
}

}  // namespace culvert::mapper

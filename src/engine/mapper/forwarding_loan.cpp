// SPDX-License-Identifier: Apache-2.0
#include "engine/mapper/forwarding_loan.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "net/forwarding.hpp"

namespace culvert::mapper {
namespace {

constexpr std::string_view kLoanTable = "culvert-forwarding";
constexpr std::string_view kLoanLabel = "culvert map --kernel: these were 0, but 1 for the interfaces named";

// What needs no quoting to be a name in a set.
bool is_plain(std::string_view interface) {
  return !interface.empty() && interface.size() < 16 && !interface.starts_with('.') &&
         std::ranges::all_of(
             interface,
             [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_' || c == '.' || c == '@' || c == ':';
             });
}

}  // namespace

bool ForwardingLoan::is_its_table(const nft::Table& table) {
  return table.family == "inet" && table.name == kLoanTable && table.label == kLoanLabel;
}

Result<void> ForwardingLoan::read(net::NftTables& tables) {
  const auto listing =
      tables.list(fmt::format("list table inet {}", kLoanTable), net::NftTables::Detail::whole);
  if (!listing && listing.error().code == Errc::not_found) return {};
  if (!listing) return std::unexpected(listing.error());
  for (const nft::Table& table : nft::read_listing(*listing)) {
    if (!is_its_table(table)) continue;
    for (const bool is_v4 : {true, false}) {
      const auto found = table.sets.find(net::Forwarding{is_v4}.name());
      if (found == table.sets.end()) continue;
      Family& family = of(is_v4);
      family = {.is_lent = true, .on = {}};
      std::ranges::copy_if(found->second, std::back_inserter(family.on), is_plain);
    }
  }
  return {};
}

Result<void> ForwardingLoan::take(net::NftTables& tables, Families families) {
  if (families == Families()) return {};
  TRY(read(tables));
  for (const bool is_v4 : {true, false}) {
    if (!(is_v4 ? families.v4 : families.v6) || of(is_v4).is_lent) continue;
    Family& family = of(is_v4);
    family.is_lent = true;
    std::ranges::copy_if(net::Forwarding{is_v4}.interfaces_on(), std::back_inserter(family.on), is_plain);
  }
  const auto noted = tables.run(text());
  if (!noted)
    return fail(noted.error().code, "cannot note how forwarding was before: " + noted.error().message);
  if (families.v4) TRY(net::Forwarding{.is_v4 = true}.set(true));
  if (families.v6) TRY(net::Forwarding{.is_v4 = false}.set(true));
  return {};
}

// "add" changes nothing of what is there already.
std::string ForwardingLoan::text() const {
  if (!v4_.is_lent && !v6_.is_lent) return {};
  std::string text = fmt::format("table inet {} {{\n  comment \"{}\"\n", kLoanTable, kLoanLabel);
  for (const bool is_v4 : {true, false}) {
    if (!of(is_v4).is_lent) continue;
    text += fmt::format("  set {} {{\n    type ifname\n", net::Forwarding{is_v4}.name());
    if (!of(is_v4).on.empty())
      text += fmt::format("    elements = {{ \"{}\" }}\n", fmt::join(of(is_v4).on, "\", \""));
    text += "  }\n";
  }
  return text + "}\n";
}

Result<void> ForwardingLoan::give_back(net::NftTables& tables) {
  TRY(read(tables));
  for (const bool is_v4 : {true, false}) {
    const Family& family = of(is_v4);
    if (!family.is_lent) continue;
    const net::Forwarding forwarding{is_v4};
    TRY(forwarding.set(false));
    for (const std::string& interface : family.on) TRY(forwarding.set(true, interface));
  }
  *this = {};
  const auto removed = tables.run(nft::remove_text(kLoanTable));
  if (!removed && removed.error().code != Errc::not_found) return std::unexpected(removed.error());
  return {};
}

}  // namespace culvert::mapper

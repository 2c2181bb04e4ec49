// SPDX-License-Identifier: Apache-2.0
#include "engine/mapper/hindrances.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"
#include "net/forwarding.hpp"
#include "net/route_lookup.hpp"
#include "proto/nft/obstacles.hpp"

namespace culvert::mapper {
namespace {

constexpr std::size_t kMostOfTargets = 8;  // lines; more of the same help nobody

std::vector<IpAddress> targets_of(std::span<const nft::Mapping> mappings) {
  std::vector<IpAddress> targets;
  for (const nft::Mapping& mapping : mappings)
    targets.insert(targets.end(), mapping.targets.begin(), mapping.targets.end());
  std::ranges::sort(targets);
  const auto same = std::ranges::unique(targets);
  targets.erase(same.begin(), same.end());
  return targets;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

// Of those on the way to what is behind `interface` and back: where what arrives is not passed on.
std::optional<std::string> that_does_not_forward(bool is_v4, const std::string& interface) {
  const net::Forwarding forwarding{is_v4};
  if (!forwarding.is_on(interface)) return interface;
  // Clients may come from elsewhere, too; of that nothing is known.
  const auto strangers = net::default_interfaces(is_v4);
  const auto forwards = [&](const std::string& one) { return forwarding.is_on(one); };
  if (strangers.empty() || std::ranges::any_of(strangers, forwards)) return std::nullopt;
  return strangers.front();
}

class Search {
 public:
  explicit Search(const nft::RuleSet& rules) : rules_(rules) {
    for (const bool is_v4 : {true, false})
      (is_v4 ? strangers_v4_ : strangers_v6_) = net::default_interfaces(is_v4);
  }

  std::vector<std::string> lines(std::span<const nft::Table> others) {
    for (const IpAddress& target : targets_of(rules_.mappings)) {
      auto line = of_target(target);
      if (line && lines_.size() < kMostOfTargets) lines_.push_back(std::move(*line));
    }
    for (const bool is_v4 : {true, false}) of_forwarding(is_v4);
    for (const nft::Obstacle& obstacle : nft::obstacles(others, passage_)) lines_.push_back(obstacle.text());
    const bool has_dccp =
        std::ranges::find(rules_.mappings, nft::kDccp, &nft::Mapping::protocol) != rules_.mappings.end();
    if (has_dccp && !net::tracks_dccp())
      lines_.emplace_back(
          "the NAT of this kernel knows no DCCP (Linux has dropped it in 6.17): dccp/ does not work");
    return std::move(lines_);
  }

 private:
  std::optional<std::string> of_target(const IpAddress& target) {
    const auto route = net::route_to(target);
    if (!route) return fmt::format("there is no way to {}: {}", target.text(), route.error().message);
    (target.is_v4() ? passage_.v4 : passage_.v6) = true;
    if (route->is_local) {
      passage_.local = true;
      return std::nullopt;
    }
    passage_.forwarded = true;
    auto& unforwarded = target.is_v4() ? unforwarded_v4_ : unforwarded_v6_;
    if (!unforwarded) {
      if (auto interface = that_does_not_forward(target.is_v4(), route->interface))
        unforwarded = {target, std::move(*interface)};
    }
    const auto& strangers = target.is_v4() ? strangers_v4_ : strangers_v6_;
    if (rules_.masquerade || !has(strangers, route->interface)) return std::nullopt;
    // Where replies go is up to the target, but there it has a way past us.
    return fmt::format(
        "{} is {} {}, where clients come from too, and may answer them past this machine: "
        "--masquerade lets it see this machine as the client",
        target.text(), route->gateway ? fmt::format("behind {} on", route->gateway->text()) : "on",
        printable(route->interface));
  }

  void of_forwarding(bool is_v4) {
    const auto& first = is_v4 ? unforwarded_v4_ : unforwarded_v6_;
    if (!first) return;
    const net::Forwarding forwarding{is_v4};
    if (!forwarding.is_on().value_or(true)) {
      lines_.push_back(fmt::format(
          "{} is 0, so nothing is passed on to {}: --enable-forwarding sets it while culvert runs",
          forwarding.name(), first->target.text()));
    } else {
      lines_.push_back(
          fmt::format("net/ipv4/conf/{0}/forwarding is 0, so nothing that arrives there is passed on to {1} "
                      "or back: sysctl net/ipv4/conf/{0}/forwarding=1",
                      printable(first->interface), first->target.text()));
    }
  }

  struct Unforwarded {
    IpAddress target;
    std::string interface;
  };

  const nft::RuleSet& rules_;
  std::vector<std::string> strangers_v4_, strangers_v6_;
  nft::Passage passage_;
  std::optional<Unforwarded> unforwarded_v4_, unforwarded_v6_;  // the first one
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> hindrances(const nft::RuleSet& rules, std::span<const nft::Table> others) {
  return Search(rules).lines(others);
}

Families unforwarded(std::span<const nft::Mapping> mappings) {
  Families found;
  for (const IpAddress& target : targets_of(mappings)) {
    bool& is_off = target.is_v4() ? found.v4 : found.v6;
    if (is_off) continue;
    const auto route = net::route_to(target);
    if (route && route->is_local) continue;
    is_off = (!route || that_does_not_forward(target.is_v4(), route->interface)) &&
             !net::Forwarding{target.is_v4()}.is_on().value_or(true);
  }
  return found;
}

}  // namespace culvert::mapper

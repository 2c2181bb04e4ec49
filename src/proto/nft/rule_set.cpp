// SPDX-License-Identifier: Apache-2.0
#include "proto/nft/rule_set.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>

#include <fmt/format.h>

namespace culvert::nft {
namespace {

struct Protocol {
  std::uint8_t number;
  std::string_view name;
};
constexpr std::array kWithPorts = {Protocol{kTcp, "tcp"}, Protocol{kUdp, "udp"}, Protocol{kSctp, "sctp"},
                                   Protocol{kDccp, "dccp"}};

// What has a map of its own: its key has one type.
struct Group {
  const Protocol* protocol;  // null: whole protocols, by their number
  bool is_v4;
  bool is_bound;  // to an address, which is part of the key

  [[nodiscard]] std::string name() const {
    return fmt::format("{}{}{}", protocol == nullptr ? "whole" : protocol->name, is_v4 ? 4 : 6,
                       is_bound ? "-bound" : "");
  }
  [[nodiscard]] std::string_view family() const { return is_v4 ? "ip" : "ip6"; }
  [[nodiscard]] std::string_view address_type() const { return is_v4 ? "ipv4_addr" : "ipv6_addr"; }

  [[nodiscard]] const IpAddress* target_of(const Mapping& mapping) const {
    const bool is_whole = !has_ports(mapping.protocol);
    if (is_whole != (protocol == nullptr) || (!is_whole && mapping.protocol != protocol->number) ||
        mapping.at.has_value() != is_bound || (is_bound && mapping.at->is_v4() != is_v4))
      return nullptr;
    const auto found = std::ranges::find(mapping.targets, is_v4, &IpAddress::is_v4);
    return found == mapping.targets.end() ? nullptr : &*found;
  }
};

// In the order in which they are asked: what says more goes first.
std::vector<Group> groups_of(const RuleSet& rules) {
  std::vector<Group> groups;
  const auto add = [&](const Protocol* protocol) {
    for (const bool is_bound : {true, false}) {
      for (const bool is_v4 : {true, false}) {
        const Group group{protocol, is_v4, is_bound};
        if (std::ranges::any_of(rules.mappings,
                                [&](const Mapping& one) { return group.target_of(one) != nullptr; }))
          groups.push_back(group);
      }
    }
  };
  for (const Protocol& protocol : kWithPorts) add(&protocol);
  add(nullptr);
  return groups;
}

class Writer {
 public:
  explicit Writer(const RuleSet& rules) : rules_(rules), groups_(groups_of(rules)) {}

  std::string text() {
    line("table inet {} {{", rules_.table);
    if (!rules_.label.empty()) line("  comment \"{}\"", comment_of(rules_.label));
    for (std::size_t i = 0; i < rules_.mappings.size(); ++i) counters(i);
    for (const Group& group : groups_) maps(group);
    translation();
    acceptance();
    sources();
    line("}}");
    return std::move(text_);
  }

 private:
  template <class... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    text_ += '\n';
  }

  void counters(std::size_t index) {
    const Mapping& mapping = rules_.mappings[index];
    const std::string comment = comment_of(mapping.name);
    const auto counter = [&](std::string_view what, std::uint64_t packets, std::uint64_t bytes) {
      line("  counter {}-{} {{ comment \"{}\"; packets {} bytes {}; }}", counter_prefix(index), what, comment,
           packets, bytes);
    };
    const Traffic& traffic = mapping.traffic;
    counter("new", traffic.connections, 0);
    counter("to", traffic.packets_to, traffic.bytes_to);
    counter("back", traffic.packets_back, traffic.bytes_back);
  }

  void maps(const Group& group) {
    const std::string key =
        fmt::format("{}{}", group.is_bound ? std::string(group.address_type()) + " . " : "",
                    group.protocol == nullptr ? "inet_proto" : "inet_service");
    map(group, group.name(), key,
        group.protocol == nullptr ? std::string(group.address_type())
                                  : fmt::format("{} . inet_service", group.address_type()),
        [](std::size_t, const std::string& target) { return target; });
    for (const std::string_view what : {"new", "to", "back"}) {
      map(group, fmt::format("{}-{}", group.name(), what), key, "counter",
          [&](std::size_t index, const std::string&) {
            return fmt::format("\"{}-{}\"", counter_prefix(index), what);
          });
    }
  }

  template <class Value>
  void map(const Group& group, const std::string& name, std::string_view key, std::string_view type,
           Value value) {
    line("  map {} {{", name);
    line("    type {} : {}", key, type);
    text_ += "    elements = {";
    std::string_view separator = "\n";
    for (std::size_t i = 0; i < rules_.mappings.size(); ++i) {
      const Mapping& mapping = rules_.mappings[i];
      const IpAddress* target = group.target_of(mapping);
      if (target == nullptr) continue;
      const std::string at = group.is_bound ? mapping.at->text() + " . " : "";
      const auto element = [&](std::uint32_t number, const std::string& to) {
        fmt::format_to(std::back_inserter(text_), "{}      {}{} : {}", separator, at, number, value(i, to));
        separator = ",\n";
      };
      if (group.protocol == nullptr) element(mapping.protocol, target->text());
      // One by one: nftables has no way to say that a range goes to another, one to one.
      for (std::uint32_t offset = 0; offset < mapping.ports; ++offset)
        element(mapping.port + offset, fmt::format("{} . {}", target->text(), mapping.target_port + offset));
    }
    line("\n    }}");
    line("  }}");
  }

  void translation() {
    line("  chain translate {{");
    for (const Group& group : groups_) {
      const std::string key = group.protocol == nullptr ? std::string("meta l4proto")
                                                        : fmt::format("{} dport", group.protocol->name);
      if (group.is_bound) {
        line("    dnat {0} to {0} daddr . {1} map @{2}", group.family(), key, group.name());
      } else {
        line("    {0} daddr != {1} fib daddr type local dnat {0} to {2} map @{3}", group.family(),
             group.is_v4 ? "127.0.0.0/8" : "::1", key, group.name());
      }
    }
    line("  }}");
    base_chain("prerouting", "nat", "prerouting", "dstnat", "jump translate");
    base_chain("local", "nat", "output", "-100", "jump translate");
  }

  void acceptance() {
    counting("to", "accept");
    counting("back", "accept");
    line("  chain mapped {{");
    line("    ct direction vmap {{ original : goto to, reply : goto back }}");
    line("  }}");
    base_chain("forward", "filter", "forward", "filter", "ct status dnat jump mapped");
    base_chain("input", "filter", "input", "filter", "iif != \"lo\" ct status dnat jump mapped");
    base_chain("output", "filter", "output", "filter", "ct status dnat jump mapped");
  }

  // NAT is asked about the first packet of a connection alone: what is counted there is their number.
  void sources() {
    line("  chain source {{");
    line("    {}masquerade", rules_.masquerade ? "" : "fib saddr type local oif != \"lo\" ");
    line("  }}");
    counting("new", "goto source", "leaving");
    counting("new", "accept", "staying");
    base_chain("postrouting", "nat", "postrouting", "srcnat", "ct status dnat jump leaving");
    base_chain("arrival", "nat", "input", "100", "ct status dnat jump staying");
  }

  // By what a connection was before it was translated, which is the same in both of its directions.
  void counting(std::string_view what, std::string_view then, std::string_view chain = {}) {
    line("  chain {} {{", chain.empty() ? what : chain);
    for (const Group& group : groups_) {
      const std::string address =
          group.is_bound ? fmt::format("ct original {} daddr . ", group.family()) : "";
      line("    meta nfproto {}{} counter name {}{} map @{}-{} {}", group.is_v4 ? "ipv4" : "ipv6",
           group.protocol == nullptr ? "" : fmt::format(" meta l4proto {}", group.protocol->name), address,
           group.protocol == nullptr ? "meta l4proto" : "ct original proto-dst", group.name(), what, then);
    }
    line("  }}");
  }

  void base_chain(std::string_view name, std::string_view type, std::string_view hook,
                  std::string_view priority, std::string_view rule) {
    line("  chain {} {{", name);
    line("    type {} hook {} priority {}; policy accept;", type, hook, priority);
    line("    {}", rule);
    line("  }}");
  }

  const RuleSet& rules_;
  const std::vector<Group> groups_;
  std::string text_;
};

}  // namespace

bool has_ports(std::uint8_t protocol) {
  return std::ranges::find(kWithPorts, protocol, &Protocol::number) != kWithPorts.end();
}

std::string to_text(const RuleSet& rules) { return Writer(rules).text(); }

std::string replace_text(const RuleSet& rules) {
  // Only what is there can be deleted.
  return fmt::format("add table inet {0}\ndelete table inet {0}\n{1}", rules.table, to_text(rules));
}

std::string remove_text(std::string_view table) { return fmt::format("delete table inet {}\n", table); }

std::optional<std::pair<std::string, std::string>> overlap(const RuleSet& rules) {
  std::map<std::pair<std::string, std::uint32_t>, const Mapping*> takers;
  for (const Group& group : groups_of(rules)) {
    takers.clear();
    for (const Mapping& mapping : rules.mappings) {
      if (group.target_of(mapping) == nullptr) continue;
      const bool is_whole = group.protocol == nullptr;
      const std::uint32_t first = is_whole ? mapping.protocol : mapping.port;
      const std::uint32_t count = is_whole ? 1 : mapping.ports;
      for (std::uint32_t key = first; key < first + count; ++key) {
        const auto [there, is_new] =
            takers.try_emplace({group.is_bound ? mapping.at->text() : "", key}, &mapping);
        if (!is_new) return std::pair(there->second->name, mapping.name);
      }
    }
  }
  return std::nullopt;
}

std::string comment_of(std::string_view text) {
  std::string comment(text.substr(0, kLongestComment));
  std::ranges::replace_if(comment, [](char c) { return c < 0x20 || c > 0x7E || c == '"' || c == '\\'; }, '?');
  return comment;
}

std::string counter_prefix(std::size_t index) { return fmt::format("m{}", index + 1); }

}  // namespace culvert::nft

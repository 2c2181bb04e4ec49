// SPDX-License-Identifier: Apache-2.0
#include "proto/nft/rule_set.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <tuple>

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

  [[nodiscard]] std::string without_address() const {
    return fmt::format("{}{}", protocol == nullptr ? "whole" : protocol->name, is_v4 ? 4 : 6);
  }
  [[nodiscard]] std::string name() const { return without_address() + (is_bound ? "-bound" : ""); }
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
    const std::string name = group.name();
    const bool is_whole = group.protocol == nullptr;
    const std::string key =
        fmt::format("{}{}", group.is_bound ? std::string(group.address_type()) + " . " : "",
                    is_whole ? "inet_proto" : "inet_service");
    const std::string address(group.address_type());
    map(name, key, is_whole ? address : address + " . inet_service", "", translations(group));
    map(name + "-range", key, address, "    flags interval\n", same_ranges(group));
    map(name + "-traffic", "ct_dir . " + key, "counter", "",
        both(counted(group, "to", false, "original . "), counted(group, "back", false, "reply . ")));
    map(name + "-new", key, "counter", "", counted(group, "new", false));
    for (const std::string_view what : {"to", "back", "new"})
      map(fmt::format("{}-range-{}", name, what), key, "counter", "    flags interval\n",
          counted(group, what, true));
  }

  static std::vector<std::string> both(std::vector<std::string> elements,
                                       const std::vector<std::string>& more) {
    elements.insert(elements.end(), more.begin(), more.end());
    return elements;
  }

  // What is in no map, no rule asks for.
  void map(const std::string& name, std::string_view key, std::string_view type, std::string_view flags,
           const std::vector<std::string>& elements) {
    if (elements.empty()) return;
    maps_.insert(name);
    line("  map {} {{", name);
    line("    type {} : {}", key, type);
    text_ += flags;
    // Of a size that is known the kernel makes a plain hash table, which costs a packet less than one that
    // grows.
    if (flags.empty()) line("    size {}", elements.size());
    line("    elements = {{\n      {}\n    }}", fmt::join(elements, ",\n      "));
    line("  }}");
  }

  template <class Visit>
  void each(const Group& group, Visit visit) const {
    for (std::size_t i = 0; i < rules_.mappings.size(); ++i) {
      const Mapping& mapping = rules_.mappings[i];
      if (const IpAddress* target = group.target_of(mapping))
        visit(i, mapping, group.is_bound ? mapping.at->text() + " . " : "", target->text());
    }
  }

  // To other ports a range goes one by one: nftables has no way to say that one range is another one.
  [[nodiscard]] std::vector<std::string> translations(const Group& group) const {
    std::vector<std::string> elements;
    each(group, [&](std::size_t, const Mapping& mapping, const std::string& at, const std::string& target) {
      if (group.protocol == nullptr) {
        elements.push_back(fmt::format("{}{} : {}", at, mapping.protocol, target));
      } else if (!goes_to_same_range(mapping)) {
        for (std::uint32_t i = 0; i < mapping.ports; ++i)
          elements.push_back(
              fmt::format("{}{} : {} . {}", at, mapping.port + i, target, mapping.target_port + i));
      }
    });
    return elements;
  }

  [[nodiscard]] std::vector<std::string> same_ranges(const Group& group) const {
    std::vector<std::string> elements;
    each(group, [&](std::size_t, const Mapping& mapping, const std::string& at, const std::string& target) {
      if (goes_to_same_range(mapping))
        elements.push_back(fmt::format("{}{} : {}", at, ports_text(mapping), target));
    });
    return elements;
  }

  [[nodiscard]] std::vector<std::string> counted(const Group& group, std::string_view what, bool ranges,
                                                 std::string_view direction = {}) const {
    std::vector<std::string> elements;
    each(group, [&](std::size_t index, const Mapping& mapping, const std::string& at, const std::string&) {
      if ((mapping.ports > 1) != ranges) return;
      elements.push_back(
          fmt::format("{}{}{} : \"{}-{}\"", direction, at,
                      group.protocol == nullptr ? fmt::format("{}", mapping.protocol) : ports_text(mapping),
                      counter_prefix(index), what));
    });
    return elements;
  }

  static bool goes_to_same_range(const Mapping& mapping) {
    return mapping.ports > 1 && mapping.port == mapping.target_port;
  }
  static std::string ports_text(const Mapping& mapping) {
    return mapping.ports == 1 ? fmt::format("{}", mapping.port)
                              : fmt::format("{}-{}", mapping.port, mapping.port + mapping.ports - 1);
  }

  void translation() {
    line("  chain translate {{");
    for (const Group& group : groups_) {
      const std::string key = group.protocol == nullptr ? std::string("meta l4proto")
                                                        : fmt::format("{} dport", group.protocol->name);
      for (const std::string& name : {group.name(), group.name() + "-range"}) {
        if (!maps_.contains(name)) continue;
        if (group.is_bound) {
          line("    dnat {0} to {0} daddr . {1} map @{2}", group.family(), key, name);
        } else {
          line("    {0} daddr != {1} fib daddr type local dnat {0} to {2} map @{3}", group.family(),
               group.is_v4 ? "127.0.0.0/8" : "::1", key, name);
        }
      }
    }
    line("  }}");
    base_chain("prerouting", "nat", "prerouting", "dstnat", "jump translate");
    base_chain("local", "nat", "output", "-100", "jump translate");
  }

  // Every packet of a mapped connection comes by here.
  void acceptance() {
    line("  chain mapped {{");
    for (const Group& group : groups_) {
      count(group, "-traffic", "ct direction . ", "", "accept");
      count(group, "-range-to", "", "ct direction original ", "accept");
      count(group, "-range-back", "", "ct direction reply ", "accept");
    }
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
    connections("leaving", "goto source");
    connections("staying", "accept");
    base_chain("postrouting", "nat", "postrouting", "srcnat", "ct status dnat jump leaving");
    base_chain("arrival", "nat", "input", "100", "ct status dnat jump staying");
  }

  void connections(std::string_view chain, std::string_view then) {
    line("  chain {} {{", chain);
    for (const Group& group : groups_) {
      count(group, "-new", "", "", then);
      count(group, "-range-new", "", "", then);
    }
    line("  }}");
  }

  // By what a connection was before it was translated, which is the same in both of its directions.
  void count(const Group& group, std::string_view kind, std::string_view direction,
             std::string_view condition, std::string_view then) {
    const std::string map = fmt::format("{}{}", group.name(), kind);
    if (!maps_.contains(map)) return;
    // An address tells the family.
    const std::string family =
        group.is_bound ? "" : fmt::format("meta nfproto {} ", group.is_v4 ? "ipv4" : "ipv6");
    const std::string protocol =
        group.protocol == nullptr ? "" : fmt::format("meta l4proto {} ", group.protocol->name);
    const std::string address = group.is_bound ? fmt::format("ct original {} daddr . ", group.family()) : "";
    line("    {}{}{}counter name {}{}{} map @{} {}", family, protocol, condition, direction, address,
         group.protocol == nullptr ? "meta l4proto" : "ct original proto-dst", map, then);
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
  std::set<std::string, std::less<>> maps_;
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

bool Key::meets(const Key& other) const { return at == other.at && competes_with(other); }

bool Key::competes_with(const Key& other) const {
  const bool is_at_same = at.empty() || other.at.empty() || at == other.at;
  return group == other.group && is_at_same && first <= other.last && other.first <= last;
}

std::vector<Key> keys_of(const Mapping& mapping) {
  RuleSet rules;
  rules.mappings = {mapping};
  std::vector<Key> keys;
  for (const Group& group : groups_of(rules)) {
    Key key{.group = group.without_address(), .at = group.is_bound ? mapping.at->text() : ""};
    const bool is_whole = group.protocol == nullptr;
    key.first = is_whole ? mapping.protocol : mapping.port;
    key.last = is_whole ? key.first : key.first + mapping.ports - 1;
    keys.push_back(std::move(key));
  }
  return keys;
}

std::optional<std::pair<std::string, std::string>> overlap(const RuleSet& rules) {
  struct Taken {
    Key key;
    const Mapping* by;
  };
  std::vector<Taken> all;
  for (const Mapping& mapping : rules.mappings) {
    for (Key& key : keys_of(mapping)) all.push_back({std::move(key), &mapping});
  }
  std::ranges::sort(all, {},
                    [](const Taken& one) { return std::tie(one.key.group, one.key.at, one.key.first); });
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (!all[i - 1].key.meets(all[i].key)) continue;
    const auto [earlier, later] = std::minmax(all[i - 1].by, all[i].by);
    return std::pair(earlier->name, later->name);
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

// SPDX-License-Identifier: Apache-2.0
#include "proto/nft/listing.hpp"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/text.hpp"

namespace culvert::nft {
namespace {

std::string_view take_line(std::string_view& text) {
  const auto end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return trimmed(line);
}

// How many more braces a line opens than it closes, outside of what stands in quotes.
int depth_of(std::string_view line) {
  int depth = 0;
  bool is_quoted = false;
  for (const char c : line) {
    if (c == '"') is_quoted = !is_quoted;
    if (is_quoted) continue;
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
  }
  return depth;
}

std::string_view in_quotes(std::string_view line) {
  const auto first = line.find('"');
  const auto last = line.rfind('"');
  return first == last ? std::string_view() : line.substr(first + 1, last - first - 1);
}

// The word behind `name`, without a semicolon.
std::string_view behind(std::string_view line, std::string_view name) {
  while (!line.empty()) {
    if (next_word(line) != name) continue;
    std::string_view word = next_word(line);
    if (word.ends_with(';')) word.remove_suffix(1);
    return word;
  }
  return {};
}

template <class Number = std::uint64_t>
Number number(std::string_view text) {
  Number value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Of "priority filter + 10;": names are those that nft(8) has for ip, ip6 and inet.
int priority_in(std::string_view line) {
  constexpr std::pair<std::string_view, int> kNames[] = {{"raw", -300}, {"mangle", -150}, {"dstnat", -100},
                                                         {"filter", 0}, {"security", 50}, {"srcnat", 100}};
  while (!line.empty() && next_word(line) != "priority") {
  }
  line = line.substr(0, line.find(';'));
  const std::string_view first = next_word(line);
  const auto named = std::ranges::find(kNames, first, &std::pair<std::string_view, int>::first);
  if (named == std::end(kNames)) return number<int>(first);
  const std::string_view sign = next_word(line);
  const int offset = number<std::int16_t>(next_word(line));  // 10 at most, as nft prints it
  return sign == "-" ? named->second - offset : named->second + offset;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  std::vector<Table> tables() {
    while (!rest_.empty()) {
      std::string_view line = take_line(rest_);
      if (line.starts_with("# Warning: table ") && line.contains("iptables-nft")) warning(line);
      // Of a table that belongs to a process: "table inet firewalld { # progname firewalld".
      const auto remark = line.find(" # progname ");
      line = line.substr(0, remark);
      if (line.starts_with("table ") && line.ends_with('{')) table(line, remark != std::string_view::npos);
    }
    for (Table& table : tables_)
      table.is_of_iptables = of_iptables_.contains(std::pair(table.family, table.name));
    return std::move(tables_);
  }

 private:
  // nft has said so in front of the table, and libnftables says it apart from the listing.
  void warning(std::string_view line) {
    while (next_word(line) != "table") {
    }
    std::string family(next_word(line));
    of_iptables_.emplace(std::move(family), next_word(line));
  }

  void table(std::string_view line, bool is_owned) {
    Table& table = tables_.emplace_back();
    (void)next_word(line);
    table.family = next_word(line);
    table.name = next_word(line);
    table.is_owned = is_owned;
    while (!rest_.empty()) {
      line = take_line(rest_);
      if (line == "}") return;
      if (line.starts_with("comment ")) table.label = in_quotes(line);
      if (!line.ends_with('{')) continue;
      const std::string_view kind = next_word(line);
      const std::string_view name = next_word(line);
      if (kind == "chain") {
        chain(table.chains.emplace_back(Chain{.name = std::string(name)}));
      } else if (kind == "counter") {
        counter(table.counters[std::string(name)]);
      } else if (kind == "set") {
        std::vector<std::string>& names = table.sets[std::string(name)];
        elements([&](std::string_view text) { quoted(names, text); });
      } else {
        elements([&](std::string_view text) {
          if (kind == "map") keys(table, name, text);
        });
      }
    }
  }

  void chain(Chain& chain) {
    while (!rest_.empty()) {
      const std::string_view line = take_line(rest_);
      if (line == "}") return;
      if (line.starts_with("type ") && line.contains(" hook ")) {
        chain.type = behind(line, "type");
        chain.hook = behind(line, "hook");
        chain.priority = priority_in(line);
        chain.drops = behind(line, "policy") == "drop";
      } else if (!line.empty() && !line.starts_with("comment ")) {
        chain.rules.emplace_back(line);
      }
    }
  }

  void counter(Counter& counter) {
    while (!rest_.empty()) {
      const std::string_view line = take_line(rest_);
      if (line == "}") return;
      if (!line.starts_with("packets ")) continue;
      counter.packets = number(behind(line, "packets"));
      counter.bytes = number(behind(line, "bytes"));
    }
  }

  // Of anything that is no chain, until its block ends: `visit` is shown each line with elements.
  template <class Visit>
  void elements(Visit visit) {
    int depth = 1;
    bool is_inside = false;
    while (!rest_.empty() && depth > 0) {
      std::string_view line = take_line(rest_);
      depth += depth_of(line);
      if (line.starts_with("elements = {")) {
        line.remove_prefix(line.find('{') + 1);
        is_inside = true;
      }
      if (is_inside) visit(line);
      is_inside = is_inside && depth > 1;
    }
  }

  static void quoted(std::vector<std::string>& names, std::string_view line) {
    for (;;) {
      const auto first = line.find('"');
      const auto last = first == std::string_view::npos ? first : line.find('"', first + 1);
      if (last == std::string_view::npos) return;
      names.emplace_back(line.substr(first + 1, last - first - 1));
      line.remove_prefix(last + 1);
    }
  }

  static void keys(Table& table, std::string_view map, std::string_view line) {
    for (;;) {
      const auto colon = line.find(" : ");
      if (colon == std::string_view::npos) return;
      table.keys.push_back(key(map, trimmed(line.substr(0, colon))));
      const auto comma = line.find(',', colon);
      if (comma == std::string_view::npos) return;
      line.remove_prefix(comma + 1);
    }
  }

  // "8080", "8000-8010", "192.0.2.1 . 8080"
  static Key key(std::string_view map, std::string_view text) {
    for (const std::string_view kind : {"-range", "-bound"})
      if (map.ends_with(kind)) map.remove_suffix(kind.size());
    Key key{.group = std::string(map)};
    if (const auto dot = text.find(" . "); dot != std::string_view::npos) {
      key.at = text.substr(0, dot);
      text.remove_prefix(dot + 3);
    }
    const auto dash = text.find('-');
    key.first = static_cast<std::uint32_t>(number(text.substr(0, dash)));
    key.last = dash == std::string_view::npos ? key.first
                                              : static_cast<std::uint32_t>(number(text.substr(dash + 1)));
    return key;
  }

  std::string_view rest_;
  std::set<std::pair<std::string, std::string>> of_iptables_;
  std::vector<Table> tables_;
};

}  // namespace

const Chain* Table::chain(std::string_view called) const {
  const auto found = std::ranges::find(chains, called, &Chain::name);
  return found == chains.end() ? nullptr : &*found;
}

std::vector<Table> read_listing(std::string_view text) { return Reader(text).tables(); }

Traffic traffic_of(const Table& table, std::size_t index) {
  const auto counter = [&](std::string_view what) {
    const auto found = table.counters.find(fmt::format("{}-{}", counter_prefix(index), what));
    return found == table.counters.end() ? Counter() : found->second;
  };
  const Counter to = counter("to"), back = counter("back");
  return {.connections = counter("new").packets,
          .packets_to = to.packets,
          .bytes_to = to.bytes,
          .packets_back = back.packets,
          .bytes_back = back.bytes};
}

}  // namespace culvert::nft

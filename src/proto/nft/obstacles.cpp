// SPDX-License-Identifier: Apache-2.0
#include "proto/nft/obstacles.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "base/text.hpp"

namespace culvert::nft {
namespace {

using Words = std::vector<std::string_view>;

constexpr int kDeepest = 16;                // jumps; the kernel has the same limit
constexpr std::size_t kMostRules = 10'000;  // that are looked at in one chain and those below it

// Text in quotes is one word.
Words words_of(std::string_view rule) {
  Words words;
  while (!rule.empty()) {
    if (rule[0] == ' ' || rule[0] == '\t') {
      rule.remove_prefix(1);
      continue;
    }
    const auto end = rule[0] == '"' ? rule.find('"', 1) : rule.find_first_of(" \t");
    const auto size = end == std::string_view::npos ? rule.size() : rule[0] == '"' ? end + 1 : end;
    words.push_back(rule.substr(0, size));
    rule.remove_prefix(size);
  }
  return words;
}

bool has_one_of(std::string_view list, std::initializer_list<std::string_view> wanted) {
  while (!list.empty()) {
    const auto comma = list.find(',');
    if (std::ranges::find(wanted, list.substr(0, comma)) != wanted.end()) return true;
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  }
  return false;
}

enum class Met : std::uint8_t { yes, no, unknown };

// The value of "ct state NAME[,NAME...]" or "ct state { NAME, NAME }"; `i` is behind it then.
std::string list_at(const Words& words, std::size_t& i) {
  std::string list;
  if (i < words.size() && words[i] == "{") {
    for (++i; i < words.size() && words[i] != "}"; ++i) list += words[i];
    if (i < words.size()) ++i;
  } else if (i < words.size()) {
    list = words[i++];
  }
  return list;
}

// What stands behind "log": `i` is behind it then.
void skip_log_options(const Words& words, std::size_t& i, std::size_t end) {
  constexpr std::array<std::string_view, 5> kWithValue = {"prefix", "level", "group", "snaplen",
                                                          "queue-threshold"};
  for (; i < end; i += 2) {
    const bool are_flags = words[i] == "flags";
    if (!are_flags && std::ranges::find(kWithValue, words[i]) == kWithValue.end()) return;
    // "flags all", "flags tcp sequence,options"
    if (are_flags && i + 1 < end && (words[i + 1] == "tcp" || words[i + 1] == "ip")) ++i;
  }
}

// Conditions of a rule, as the first packet of a mapped connection meets them.
Met met(const Words& words, std::size_t end, bool is_translated) {
  Met all = Met::yes;
  bool names_translated = false;
  for (std::size_t i = 0; i < end;) {
    if (words[i] == "counter") {  // and what it has counted, or which one it is
      ++i;
      if (i + 3 < end && words[i] == "packets") i += 4;
      if (i + 1 < end && words[i] == "name") i += 2;
    } else if (words[i] == "log") {
      skip_log_options(words, ++i, end);
    } else if ((words[i] == "meta" || words[i] == "ct") && i + 3 < end && words[i + 2] == "set") {
      i += 4;
    } else if (words[i] == "ct" && i + 2 < end && words[i + 1] == "state") {
      i += 2;
      if (words[i] == "vmap" || words[i] == "!=") return Met::unknown;
      if (!has_one_of(list_at(words, i), {"new"})) return Met::no;
    } else if (words[i] == "ct" && i + 2 < end && words[i + 1] == "status") {
      i += 2;
      if (words[i] == "vmap" || words[i] == "!=") return Met::unknown;
      if (!has_one_of(list_at(words, i), {"dnat"}) || !is_translated) return Met::no;
      names_translated = true;
    } else {
      // Where this one ends is not known, but further ones can still say no.
      all = Met::unknown;
      ++i;
    }
  }
  // Somebody has thought of us: which links and addresses he means is up to him.
  return names_translated && words[end] == "accept" ? Met::yes : all;
}

struct Verdict {
  std::size_t at;  // of its word
  std::string_view name, chain;
};

Verdict verdict_of(const Words& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "comment") break;
    if (word == "vmap") break;  // one of several, by what cannot be judged here
    if (word == "accept" || word == "drop" || word == "reject" || word == "return") return {i, word, {}};
    if ((word == "jump" || word == "goto") && i + 1 < words.size()) return {i, word, words[i + 1]};
  }
  return {words.size(), {}, {}};
}

// Goes through a chain as that packet does.
class Walk {
 public:
  /// `is_translated`: it has a target already.
  Walk(const Table& table, bool is_translated) : table_(table), is_translated_(is_translated) {}

  enum class End : std::uint8_t { accepted, dropped, through };

  End chain(const Chain& chain, int depth = 0) {
    for (const std::string& rule : chain.rules) {
      if (++seen_ > kMostRules) return End::accepted;  // nobody is warned of what was not understood
      const Words words = words_of(rule);
      const Verdict verdict = verdict_of(words);
      if (verdict.name.empty() || met(words, verdict.at, is_translated_) != Met::yes) continue;
      if (verdict.name == "accept") return End::accepted;
      if (verdict.name == "return") return End::through;
      if (verdict.name == "drop" || verdict.name == "reject") return End::dropped;
      const Chain* next = table_.chain(verdict.chain);
      if (next == nullptr || depth == kDeepest) continue;
      const End end = this->chain(*next, depth + 1);
      if (end != End::through || verdict.name == "goto") return end;
    }
    return End::through;
  }

 private:
  const Table& table_;
  const bool is_translated_;
  std::size_t seen_ = 0;
};

// Ours translates at dstnat.
bool is_before_translation(const Chain& chain) { return chain.hook == "prerouting" && chain.priority < -100; }

std::string remedy_for(const Table& table, const Chain& chain) {
  if (is_before_translation(chain))
    return "have it accept the mapped ports (it comes before they are translated)";
  if (table.name == "firewalld" && chain.hook == "forward")
    return "StrictForwardPorts=no in /etc/firewalld/firewalld.conf, then: firewall-cmd --reload";
  if (table.is_of_iptables) {
    // An nft rule in there would make the table unreadable to iptables, and so to Docker.
    const bool has_docker = chain.hook == "forward" && table.chain("DOCKER-USER") != nullptr;
    return fmt::format("{}{} -I {} -m conntrack --ctstate DNAT -j ACCEPT",
                       table.family == "ip6" ? "ip6tables" : "iptables",
                       table.name == "filter" ? "" : " -t " + printable(table.name),
                       has_docker ? "DOCKER-USER" : printable(chain.name));
  }
  if (table.is_owned)
    return "the table belongs to a process, which has to begin the chain with: ct status dnat accept";
  return fmt::format("nft insert rule {} {} {} ct status dnat accept", printable(table.family),
                     printable(table.name), printable(chain.name));
}

std::string who_is(const Table& table) {
  if (table.name == "firewalld") return "firewalld: ";
  if (table.is_of_iptables && table.chain("DOCKER-USER") != nullptr) return "Docker: ";
  return "";
}

bool passes(const Passage& passage, std::string_view hook) {
  if (hook == "prerouting") return passage.forwarded || passage.local;
  if (hook == "input") return passage.local;
  return passage.forwarded && (hook == "forward" || hook == "postrouting");
}

}  // namespace

std::string Obstacle::text() const {
  return fmt::format(
      "{} drops what its own rules do not accept, whatever other tables accept; to let mapped connections "
      "through: {}",
      where, remedy);
}

std::vector<Obstacle> obstacles(std::span<const Table> tables, const Passage& passage) {
  std::vector<Obstacle> found;
  for (const Table& table : tables) {
    const bool concerns_us = table.family == "inet" || (table.family == "ip" && passage.v4) ||
                             (table.family == "ip6" && passage.v6);
    if (!concerns_us) continue;
    for (const Chain& chain : table.chains) {
      if (chain.type != "filter" || !passes(passage, chain.hook)) continue;
      const Walk::End end = Walk(table, !is_before_translation(chain)).chain(chain);
      if (end == Walk::End::accepted || (end == Walk::End::through && !chain.drops)) continue;
      found.push_back({fmt::format("{}table {} {}, chain {},", who_is(table), printable(table.family),
                                   printable(table.name), printable(chain.name)),
                       remedy_for(table, chain)});
    }
  }
  return found;
}

}  // namespace culvert::nft

// SPDX-License-Identifier: Apache-2.0
// The only file that sees toml++: its headers are heavy.
#include "files/rules_file.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "base/text.hpp"

namespace culvert::files {
namespace {

constexpr std::size_t kMaxEntries = 4096;  ///< of one list: all of them are looked at for each stream
constexpr std::size_t kFingerprintSize = 50;

class Loader {
 public:
  explicit Loader(std::string_view file_name) : file_name_(file_name) {}

  Result<RulesFile> load(const toml::table& root) {
    RulesFile file;
    for (const auto& [key, node] : root) {
      if (key.str() != "user") return unknown(key);
      const toml::array* users = node.as_array();
      if (users == nullptr) return wrong(node, "write [[user]], with two brackets");
      for (const toml::node& entry : *users) {
        UserRules user = TRY(load_user(entry));
        if (file.find(user.name) != nullptr)
          return wrong(entry, fmt::format("user \"{}\" is there twice", user.name));
        file.users.push_back(std::move(user));
      }
    }
    return file;
  }

 private:
  [[nodiscard]] std::unexpected<Error> wrong_at(const toml::source_region& at, std::string_view why) const {
    return fail(Errc::malformed, fmt::format("{}:{}: {}", file_name_, at.begin.line, why));
  }
  [[nodiscard]] std::unexpected<Error> wrong(const toml::node& at, std::string_view why) const {
    return wrong_at(at.source(), why);
  }
  [[nodiscard]] std::unexpected<Error> unknown(const toml::key& key) const {
    return wrong_at(key.source(), fmt::format("unknown keyword \"{}\"", printable(key.str(), 64)));
  }

  Result<UserRules> load_user(const toml::node& node) {
    const toml::table* table = node.as_table();
    if (table == nullptr) return wrong(node, "write [[user]], with two brackets");
    UserRules user;
    for (const auto& [key, value] : *table) {
      if (key.str() == "name") {
        user.name = TRY(text_of(value, "name"));
      } else if (key.str() == "authorized_keys") {
        user.authorized_keys = TRY(text_of(value, "authorized_keys"));
      } else if (key.str() == "key") {
        user.keys = TRY(load_keys(value));
      } else if (!TRY(load_keyword(user.rules, key.str(), value))) {
        return unknown(key);
      }
    }
    if (user.name.empty()) return wrong(node, "user has no name");
    return user;
  }

  Result<std::vector<UserRules::OfKey>> load_keys(const toml::node& node) {
    constexpr std::string_view kForm = "write [user.key.\"SHA256:...\"], as ssh-keygen -l shows it";
    const toml::table* table = node.as_table();
    if (table == nullptr) return wrong(node, kForm);
    std::vector<UserRules::OfKey> keys;
    for (const auto& [key, value] : *table) {
      const toml::table* rules = value.as_table();
      if (!key.str().starts_with("SHA256:") || key.str().size() != kFingerprintSize || rules == nullptr)
        return wrong_at(key.source(), kForm);
      UserRules::OfKey& of_key = keys.emplace_back(std::string(key.str()), RuleSet{});
      for (const auto& [keyword, content] : *rules) {
        if (!TRY(load_keyword(of_key.rules, keyword.str(), content))) return unknown(keyword);
      }
    }
    return keys;
  }

  /// False: there is no such keyword.
  Result<bool> load_keyword(RuleSet& rules, std::string_view name, const toml::node& node) {
    Limits& limits = rules.limits;
    if (name == "connect") {
      rules.connect = TRY(rules_of(node, name, &ForwardRule::parse_connect));
    } else if (name == "listen") {
      rules.listen = TRY(rules_of(node, name, &ForwardRule::parse_listen));
    } else if (name == "listen_default") {
      rules.listen_default = TRY(addresses_of(node, name));
    } else if (name == "max_sessions") {
      limits.max_sessions = TRY(count_of(node, name));
    } else if (name == "max_streams") {
      limits.max_streams = TRY(count_of(node, name));
    } else if (name == "max_listeners") {
      limits.max_listeners = TRY(count_of(node, name));
    } else if (name == "bytes_per_second_in") {
      limits.bytes_per_second_in = TRY(size_of(node, name));
    } else if (name == "bytes_per_second_out") {
      limits.bytes_per_second_out = TRY(size_of(node, name));
    } else if (name == "quota") {
      limits.quota = TRY(size_of(node, name));
    } else if (name == "until") {
      limits.until = TRY(time_of(node, name));
    } else {
      return false;
    }
    return true;
  }

  Result<std::string> text_of(const toml::node& node, std::string_view name) const {
    const auto text = node.value_exact<std::string>();
    if (!text || text->empty() || printable(*text) != *text)
      return wrong(node, fmt::format("{} is no text in quotes that can be printed", name));
    return *text;
  }

  Result<std::vector<ForwardRule>> rules_of(const toml::node& node, std::string_view name,
                                            Result<ForwardRule> (*parse)(std::string_view)) const {
    const toml::array* list = node.as_array();
    if (list == nullptr) return wrong(node, fmt::format("{} is no list: write {} = [\"...\"]", name, name));
    if (list->size() > kMaxEntries)
      return wrong(node, fmt::format("{} has more than {} entries", name, kMaxEntries));
    std::vector<ForwardRule> rules;
    for (const toml::node& entry : *list) {
      auto rule = parse(TRY(text_of(entry, name)));
      if (!rule) return wrong(entry, fmt::format("{}: {}", name, rule.error().message));
      rules.push_back(*std::move(rule));
    }
    return rules;
  }

  Result<std::vector<IpAddress>> addresses_of(const toml::node& node, std::string_view name) const {
    std::vector<IpAddress> addresses;
    const auto add = [&](const toml::node& entry) -> Result<void> {
      const auto address = IpAddress::parse(TRY(text_of(entry, name)));
      if (!address) return wrong(entry, fmt::format("{} is no address like 127.0.0.1 or ::1", name));
      addresses.push_back(address->normalised());
      return {};
    };
    if (const toml::array* list = node.as_array()) {
      for (const toml::node& entry : *list) TRY(add(entry));
    } else {
      TRY(add(node));
    }
    if (addresses.empty() || addresses.size() > kMaxEntries)
      return wrong(node, fmt::format("{} has no address, or too many", name));
    return addresses;
  }

  Result<std::uint32_t> count_of(const toml::node& node, std::string_view name) const {
    const auto count = node.value_exact<std::int64_t>();
    if (!count || *count < 0 || *count > std::numeric_limits<std::uint32_t>::max())
      return wrong(node, fmt::format("{} is no number", name));
    return static_cast<std::uint32_t>(*count);
  }

  /// 1000000, "64K", "10M", "1G", "2T"; K is 1024.
  Result<std::uint64_t> size_of(const toml::node& node, std::string_view name) const {
    const auto malformed = [&] { return wrong(node, fmt::format("{} is no size like \"10M\"", name)); };
    if (const auto number = node.value_exact<std::int64_t>()) {
      if (*number <= 0) return malformed();
      return static_cast<std::uint64_t>(*number);
    }
    const std::string text = TRY(text_of(node, name));
    const std::size_t unit = std::string_view("KMGT").find(text.back());
    const bool has_unit = unit != std::string_view::npos;
    std::uint64_t value = 0;
    const std::string_view digits = std::string_view(text).substr(0, text.size() - (has_unit ? 1 : 0));
    constexpr std::size_t kMaxDigits = 6;  // with T this is far from the end of 64 bits
    if (digits.empty() || digits.size() > (has_unit ? kMaxDigits : 18)) return malformed();
    for (const char c : digits) {
      if (c < '0' || c > '9') return malformed();
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    if (value == 0) return malformed();
    return has_unit ? value << (10 * (unit + 1)) : value;
  }

  Result<UnixSeconds> time_of(const toml::node& node, std::string_view name) const {
    const auto moment = node.value_exact<toml::date_time>();
    if (!moment || !moment->offset)
      return wrong(
          node, fmt::format("{} is no time with a zone, like 2027-01-31T12:00:00Z (without quotes)", name));
    const std::chrono::year_month_day date(std::chrono::year(moment->date.year),
                                           std::chrono::month(moment->date.month),
                                           std::chrono::day(moment->date.day));
    const UnixSeconds days = std::chrono::sys_days(date).time_since_epoch().count();
    return days * 86400 + moment->time.hour * 3600 + moment->time.minute * 60 + moment->time.second -
           moment->offset->minutes * 60;
  }

  std::string_view file_name_;
};

}  // namespace

const UserRules* RulesFile::find(std::string_view user) const {
  const auto found = std::ranges::find(users, user, &UserRules::name);
  return found == users.end() ? nullptr : &*found;
}

Result<RulesFile> parse_rules_file(std::string_view text, std::string_view file_name) {
  if (text.size() > kMaxRulesFileSize) {
    return fail(Errc::limit, fmt::format("{}: larger than {} MiB, which is no list of rules", file_name,
                                         kMaxRulesFileSize >> 20));
  }
  try {
    return Loader(file_name).load(toml::parse(text));
  } catch (const toml::parse_error& error) {
    return fail(Errc::malformed, fmt::format("{}:{}: {}", file_name, error.source().begin.line,
                                             printable(error.description(), 300)));
  } catch (const std::exception& error) {
    return fail(Errc::malformed, fmt::format("{}: {}", file_name, printable(error.what(), 300)));
  }
}

}  // namespace culvert::files

// SPDX-License-Identifier: Apache-2.0
#include "engine/server/account.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <iterator>
#include <set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "crypto/certificate.hpp"
#include "engine/server/opened_file.hpp"
#include "files/authorized_keys.hpp"
#include "files/config_file.hpp"

namespace culvert::server {
namespace {

constexpr std::size_t kMostRemembered = 65536;
constexpr std::size_t kLongestUser = 256;  // bytes

std::string name_of_user(const Permit& permit) { return "user " + permit.account; }

UnixSeconds local_to_utc(UnixSeconds local) {
  const auto as_utc = static_cast<std::time_t>(local);
  std::tm parts{};
  ::gmtime_r(&as_utc, &parts);
  parts.tm_isdst = -1;
  return ::mktime(&parts);
}

void note_quotas(const Permit& permit) {
  if (permit.grants.user_limits.quota) permit.of_user->has_quota = true;
  if (permit.grants.key_limits.quota) permit.of_key->has_quota = true;
}

std::unexpected<Error> unknown(std::string why) { return fail(Errc::not_found, std::move(why)); }
std::unexpected<Error> denied(std::string why) { return fail(Errc::denied, std::move(why)); }

}  // namespace

Result<void> check_limits(const Permit& permit) {
  if (permit.is_revoked) return fail(Errc::limit, "the key was revoked");
  const files::Grants& grants = permit.grants;
  const auto used_up = [](const files::Limits& limits, const Usage& usage) {
    return limits.quota && usage.bytes >= *limits.quota;
  };
  if (used_up(grants.user_limits, *permit.of_user) || used_up(grants.key_limits, *permit.of_key))
    return fail(Errc::limit, "the quota is used up");
  for (const files::Limits* limits : {&grants.user_limits, &grants.key_limits}) {
    if (limits->until && unix_now() >= *limits->until) return fail(Errc::limit, "its time is over");
  }
  return {};
}

Result<std::unique_ptr<Accounts>> Accounts::load(const ServerOptions& options, Privileges& privileges,
                                                 QuotaBook* quotas) {
  std::unique_ptr<Accounts> accounts(new Accounts(options, privileges, quotas));
  TRY(accounts->revocations_.load(options.revoked_keys));
  TRY(accounts->refresh_rules());
  for (const KeysOfUser& of : options.keys) {
    accounts->refresh(accounts->files_[of.file], of.file);
  }
  for (const files::UserRules& user : accounts->rules_.users) {
    if (!user.authorized_keys.empty()) (void)accounts->keys_in(user.authorized_keys);
  }
  return accounts;
}

// Wrong rules at the start are an error; later those that were right stay in force.
Result<void> Accounts::refresh_rules() {
  if (options_.rules_file.empty()) return {};
  if (!watched_rules_.is_due(options_.rules_file, privileges_)) return {};
  const auto text =
      files::read_config_file(options_.rules_file, files::OwnerCheck::required, opener(privileges_));
  watched_rules_.was_read(text);
  if (!text) return fail(text.error().code, "rules: " + text.error().message);
  rules_ = TRY(files::parse_rules_file(*text, options_.rules_file));
  ++rules_version_;
  return {};
}

void Accounts::keep_rules_fresh() {
  const auto read = refresh_rules();
  if (!read && watched_rules_.is_news(read.error().message))
    log(LogLevel::error, "{}; the rules from before stay", read.error().message);
}

std::uint64_t Accounts::refresh() {
  keep_rules_fresh();
  revocations_.refresh();
  return version();
}

void Accounts::refresh(Permit& permit) {
  if (permit.version == refresh()) return;
  permit.version = version();
  permit.grants = grants_of(permit.account, permit.key, permit.options);
  note_quotas(permit);
  // Who is in stays in while nobody can tell.
  permit.is_revoked = permit.is_revoked || revocations_.named_by(permit.key, permit.certificate) != nullptr;
}

void Accounts::refresh(KeyFile& of, const std::string& path) {
  if (!of.file.is_due(path, privileges_)) return;
  of.keys = {};
  const auto text = files::read_config_file(path, files::OwnerCheck::required, opener(privileges_));
  of.file.was_read(text);
  if (!text) {
    if (of.file.is_news(text.error().message)) log(LogLevel::warning, "{}", text.error().message);
    return;
  }
  auto keys = files::parse_authorized_keys(*text, local_to_utc);
  if (!keys) return log(LogLevel::warning, "{}: {}", printable(path), keys.error().message);
  of.keys = std::move(*keys);
  for (const files::LineWarning& warning : of.keys.warnings)
    log(LogLevel::warning, "{} line {}: {}; the line is passed over", printable(path), warning.line,
        warning.text);
}

std::vector<std::string> Accounts::paths_of(const std::string& user) const {
  std::vector<std::string> own, common;
  for (const KeysOfUser& of : options_.keys) {
    if (of.user.empty()) common.push_back(of.file);
    if (!of.user.empty() && of.user == user) own.push_back(of.file);
  }
  if (const files::UserRules* rules = rules_.find(user); rules != nullptr && !rules->authorized_keys.empty())
    own.push_back(rules->authorized_keys);
  return own.empty() ? common : own;
}

const files::AuthorizedKeys& Accounts::keys_in(const std::string& path) {
  KeyFile& file = files_[path];
  refresh(file, path);
  return file.keys;
}

Result<Permit> Accounts::judge(const ssh::UserOffered& offered, const IpAddress& source, UnixSeconds now) {
  if (offered.user.size() > kLongestUser) return unknown("there is no such user");
  refresh();
  TRY(revocations_.check(offered.key, offered.certificate));
  const auto paths = paths_of(offered.user);
  if (paths.empty()) return unknown("there is no such user");
  const auto& certificate = offered.certificate;
  // A file that is read again has other entries: first all files.
  std::vector<const files::AuthorizedKeys*> of_files;
  of_files.reserve(paths.size());
  for (const std::string& path : paths) of_files.push_back(&keys_in(path));
  std::vector<const files::AuthorizedKey*> entries;
  for (const files::AuthorizedKeys* keys : of_files) {
    std::ranges::copy(
        certificate ? keys->with_authority(*certificate, offered.user) : keys->with_key(offered.key),
        std::back_inserter(entries));
  }
  if (entries.empty()) {
    return unknown(fmt::format("the {} is not in {}",
                               certificate ? "certificate's authority, for this user," : "key",
                               printable(fmt::to_string(fmt::join(paths, ", ")))));
  }
  if (certificate) {
    if (const auto valid = crypto::check_validity(*certificate, static_cast<std::uint64_t>(now)); !valid)
      return denied("the certificate: " + valid.error().message);
  }
  Error why{Errc::denied, ""};
  for (const files::AuthorizedKey* entry : entries) {
    auto options =
        certificate ? files::merged(entry->options, *certificate) : Result<files::KeyOptions>(entry->options);
    if (options) {
      const auto use = files::check_use(*options, source, now);
      if (!use) options = std::unexpected(use.error());
    }
    if (!options) {
      why = options.error();
      continue;
    }
    const std::string fingerprint = offered.key.fingerprint();
    Permit permit{.user = printable(offered.user),
                  .fingerprint = fingerprint,
                  .key_name = printable(certificate ? certificate->key_id() : entry->comment, 100),
                  .grants = grants_of(offered.user, offered.key, *options),
                  .of_user = nullptr,
                  .of_key = nullptr,
                  .account = offered.user,
                  .key = offered.key,
                  .options = std::move(*options),
                  .certificate = certificate,
                  .version = version()};
    permit.of_user = usage_of(name_of_user(permit));
    permit.of_key = usage_of(permit.identity());
    if (const auto limits = check_limits(permit); !limits) return denied(limits.error().message);
    return permit;
  }
  return denied(why.message);
}

files::Grants Accounts::grants_of(const std::string& user, const crypto::PublicKey& key,
                                  const files::KeyOptions& options) const {
  if (options_.allow_all) return files::grants_for_all(rules_.find(user), key, options);
  return files::grants_for(rules_.find(user), key, options);
}

bool Accounts::name_file(const std::string& path) {
  keep_rules_fresh();
  return path == options_.rules_file ||
         std::ranges::find(options_.revoked_keys, path) != options_.revoked_keys.end() ||
         std::ranges::any_of(options_.keys, [&](const KeysOfUser& of) { return of.file == path; }) ||
         std::ranges::any_of(rules_.users,
                             [&](const files::UserRules& user) { return user.authorized_keys == path; });
}

bool Accounts::let_listen(const IpAddress& address, std::uint16_t port) {
  if (options_.allow_all) return true;
  keep_rules_fresh();
  // All requests that lead to this address.
  const auto lets = [&](const files::Grants& grants) {
    return std::ranges::any_of(std::array<std::string, 4>{address.text(), "", "localhost", "*"},
                               [&](const std::string& bind) {
                                 const auto to = files::may_listen(grants, bind, port).addresses;
                                 return std::ranges::find(to, address) != to.end();
                               });
  };
  if (std::ranges::any_of(files::all_grants(rules_.users), lets)) return true;
  // Of users, too, whom the rules name since then.
  std::set<std::string> paths;
  for (const KeysOfUser& of : options_.keys) paths.insert(of.file);
  for (const files::UserRules& user : rules_.users) {
    if (!user.authorized_keys.empty()) paths.insert(user.authorized_keys);
  }
  for (const std::string& path : paths) {
    const auto permits = [&](const files::AuthorizedKey& entry) {
      return lets(files::grants_for(nullptr, entry.key, entry.options));
    };
    if (std::ranges::any_of(keys_in(path).keys, permits)) return true;
  }
  return false;
}

std::shared_ptr<Usage> Accounts::usage_of(const std::string& name) const {
  if (const auto known = usage_.find(name); known != usage_.end()) return known->second;
  auto usage = std::make_shared<Usage>();
  if (quotas_ != nullptr) usage->bytes = quotas_->used(name);
  return usage;
}

void Accounts::admit(Permit& permit) {
  share(name_of_user(permit), permit.of_user);
  share(permit.identity(), permit.of_key);
  note_quotas(permit);
}

void Accounts::share(const std::string& name, std::shared_ptr<Usage>& usage) {
  // An authority can certify any number of keys; what has a quota the rules name.
  if (usage_.size() > kMostRemembered) {
    std::erase_if(
        usage_, [](const auto& entry) { return entry.second.use_count() == 1 && !entry.second->has_quota; });
  }
  auto& shared = usage_[name];
  if (!shared) shared = std::move(usage);
  usage = shared;
}

void Accounts::keep_quotas() {
  if (quotas_ == nullptr) return;
  for (const auto& [name, usage] : usage_)
    if (usage->has_quota) quotas_->keep(name, usage->bytes);
}

std::vector<std::string> Accounts::warnings() const {
  // A file without a user is that of all users whom the rules name without a file of their own, and of
  // others.
  const auto users_of = [this](const KeysOfUser& of) {
    std::vector<std::string> users = {of.user};
    for (const files::UserRules& user : rules_.users) {
      if (of.user.empty() && user.authorized_keys.empty()) users.push_back(user.name);
    }
    return users;
  };
  // With a key for everybody one chooses one's name: does it matter which?
  std::size_t common = 0;
  bool names_matter = options_.allow_all;
  for (const KeysOfUser& of : options_.keys) {
    const auto file = files_.find(of.file);
    if (!of.user.empty() || file == files_.end()) continue;
    for (const files::AuthorizedKey& entry : file->second.keys.keys) {
      const files::KeyOptions& own = entry.options;
      names_matter |=
          ++common > 1 || own.is_authority || !own.permit_open.empty() || !own.permit_listen.empty();
    }
  }
  std::vector<std::string> lines;
  const auto look_at = [&](const std::vector<std::string>& users, const std::string& path) {
    const auto file = files_.find(path);
    if (file == files_.end()) return;
    for (const files::AuthorizedKey& entry : file->second.keys.keys) {
      const bool may_something = std::ranges::any_of(users, [&](const std::string& user) {
        return !grants_of(user, entry.key, entry.options).are_empty();
      });
      if (entry.options.is_authority || may_something) continue;
      lines.push_back(fmt::format(
          "{} line {}: this key may log in and do nothing: no rule and no permitopen or permitlisten names "
          "what it may (--allow-all lets it forward anything)",
          printable(path), entry.line));
    }
  };
  for (const KeysOfUser& of : options_.keys) look_at(users_of(of), of.file);
  for (const files::UserRules& user : rules_.users) {
    look_at({user.name}, user.authorized_keys);
    const bool has_own =
        !user.authorized_keys.empty() ||
        std::ranges::find(options_.keys, user.name, &KeysOfUser::user) != options_.keys.end();
    if (common == 0 || !names_matter || has_own) continue;
    lines.push_back(fmt::format(
        "{}: each key of a file for everybody may log in as {} and do what that user may, or under another "
        "name, where that user's limits and \"!\" entries do not count (-k {}=FILE gives a user own keys)",
        printable(options_.rules_file), printable(user.name), printable(user.name)));
  }
  const auto has_quota = [](const files::Grants& grants) {
    return grants.user_limits.quota || grants.key_limits.quota;
  };
  if (quotas_ == nullptr && std::ranges::any_of(files::all_grants(rules_.users), has_quota)) {
    lines.push_back(fmt::format(
        "{}: what is used of its quotas is forgotten when the server ends (--quota-file FILE keeps it)",
        printable(options_.rules_file)));
  }
  return lines;
}

}  // namespace culvert::server

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/ip_address.hpp"
#include "base/result.hpp"
#include "engine/server/opened_file.hpp"
#include "engine/server/options.hpp"
#include "engine/server/privileges.hpp"
#include "engine/server/quota_book.hpp"
#include "engine/server/revocations.hpp"
#include "engine/server/usage.hpp"
#include "files/access_rules.hpp"
#include "files/authorized_keys.hpp"
#include "files/rules_file.hpp"
#include "proto/ssh/session.hpp"

namespace culvert::server {

/// What a login gives: who it is, and what that one may do.
struct Permit {
  std::string user;         ///< printable
  std::string fingerprint;  ///< of the key, or of the one that the certificate certifies
  std::string key_name;     ///< the key's comment or the certificate's id, for people; may be empty
  files::Grants grants;     ///< as the rules were at the last Accounts::refresh()
  std::shared_ptr<Usage> of_user, of_key;  ///< what all sessions of theirs use together, after admit()
  std::string account;                     ///< the user's name as it came
  crypto::PublicKey key;
  files::KeyOptions options;                            ///< of the key, with the limits of the certificate
  std::optional<crypto::Certificate> certificate = {};  ///< in which the key came
  std::uint64_t version = 0;                            ///< of the rules and the revocations
  bool is_revoked = false;                              ///< since the login

  /// "key SHA256:...": sessions with the same one may take over from each other.
  [[nodiscard]] std::string identity() const { return "key " + fingerprint; }
};

/// Whether its key still counts, and its time and its quotas are not over: Errc::limit with the reason.
[[nodiscard]] Result<void> check_limits(const Permit& permit);

/// Who may log in: users with their files of keys, the keys that are revoked, and the rules. Files are read
/// again when they change. Of use to one thread at a time; small files are read on the loop.
class Accounts {
 public:
  /// Reads all files. What is passed over in them is a line in the log; rules that are wrong are an error.
  /// `quotas`: where what was used of quotas is kept; null: nowhere. All must outlive it.
  [[nodiscard]] static Result<std::unique_ptr<Accounts>> load(const ServerOptions& options,
                                                              Privileges& privileges,
                                                              QuotaBook* quotas = nullptr);

  /// Whether `offered` may log in from `source` now (seconds since 1970). If not, the reason for the
  /// operator: Errc::not_found if nobody has such a key, Errc::denied if somebody has it, and it may not log
  /// in like this, Errc::verification if it is revoked, or may be.
  [[nodiscard]] Result<Permit> judge(const ssh::UserOffered& offered, const IpAddress& source,
                                     UnixSeconds now);

  /// Who was judged has logged in: from now on what it uses counts with that of its other sessions. Nothing
  /// of those who have not is kept.
  void admit(Permit& permit);

  /// Reads what has changed of the rules and the revocations; another number than before if something did.
  std::uint64_t refresh();
  /// The same, and brings what it may do up to date. For every open.
  void refresh(Permit& permit);

  /// Keeps what was used of quotas until now: now and then, and at the end.
  void keep_quotas();

  /// Whether the options or the rules name this file: of keys, of revoked ones, of rules.
  [[nodiscard]] bool name_file(const std::string& path);
  /// Whether there is anybody who may listen there.
  [[nodiscard]] bool let_listen(const IpAddress& address, std::uint16_t port);

  /// Lines for the operator about what nobody may do: a key without a rule.
  [[nodiscard]] std::vector<std::string> warnings() const;

 private:
  struct KeyFile {
    WatchedFile file;
    files::AuthorizedKeys keys;
  };

  Accounts(const ServerOptions& options, Privileges& privileges, QuotaBook* quotas)
      : options_(options), privileges_(privileges), quotas_(quotas), revocations_(privileges) {}
  /// Of the user's own files of keys, else of those for everybody.
  [[nodiscard]] std::vector<std::string> paths_of(const std::string& user) const;
  [[nodiscard]] const files::AuthorizedKeys& keys_in(const std::string& path);
  void refresh(KeyFile& of, const std::string& path);
  [[nodiscard]] Result<void> refresh_rules();
  void keep_rules_fresh();
  [[nodiscard]] std::uint64_t version() const { return rules_version_ + revocations_.version(); }
  [[nodiscard]] files::Grants grants_of(const std::string& user, const crypto::PublicKey& key,
                                        const files::KeyOptions& options) const;
  /// What is known of that user or key, or what a new one begins with.
  [[nodiscard]] std::shared_ptr<Usage> usage_of(const std::string& name) const;
  void share(const std::string& name, std::shared_ptr<Usage>& usage);

  const ServerOptions& options_;
  Privileges& privileges_;
  QuotaBook* const quotas_;
  std::map<std::string, KeyFile> files_;  // by path
  files::RulesFile rules_;
  WatchedFile watched_rules_;
  std::uint64_t rules_version_ = 0;
  Revocations revocations_;
  std::map<std::string, std::shared_ptr<Usage>> usage_;  // by "user NAME", "key FINGERPRINT"
};

}  // namespace culvert::server

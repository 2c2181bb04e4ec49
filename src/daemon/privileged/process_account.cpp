// SPDX-License-Identifier: Apache-2.0
#include "daemon/privileged/process_account.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/text.hpp"

namespace culvert::daemon {
namespace {

std::optional<ProcessAccount> find(const std::string& name) {
  const passwd* entry = ::getpwnam(name.c_str());
  if (entry == nullptr) return std::nullopt;
  return ProcessAccount{name, entry->pw_uid, entry->pw_gid};
}

}  // namespace

Result<ProcessAccount> find_process_account(const std::string& name) {
  if (!name.empty()) {
    if (auto account = find(name)) return *account;
    return fail(Errc::not_found, fmt::format("--user: there is no account {}", printable(name)));
  }
  for (const char* usual : {"culvert", "nobody"}) {
    if (auto account = find(usual)) return *account;
  }
  return fail(Errc::not_found,
              "started as root, and there is no account to run as: neither culvert nor nobody (--user NAME)");
}

Result<void> become(const ProcessAccount& account, Capabilities kept) {
  const auto cannot = [&](int error) {
    return fail_errno("cannot run as " + printable(account.name), error);
  };
  if (::initgroups(account.name.c_str(), account.group) != 0) return cannot(errno);
  if (::setresgid(account.group, account.group, account.group) != 0) return cannot(errno);
  // Whoever ceases to be root loses all capabilities otherwise.
  if (kept != kNoCapabilities && ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return cannot(errno);
  if (::setresuid(account.user, account.user, account.user) != 0) return cannot(errno);
  if (account.user == 0) return {};
  TRY(keep_capabilities(kept));
  CULVERT_ASSERT(::setuid(0) != 0 && ::geteuid() == account.user);  // there is no way back
  return {};
}

Result<void> refuse_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno("cannot refuse new privileges", errno);
  return {};
}

}  // namespace culvert::daemon

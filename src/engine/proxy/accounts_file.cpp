// SPDX-License-Identifier: Apache-2.0
#include "engine/proxy/accounts_file.hpp"

#include <utility>

#include <fmt/format.h>

#include "files/small_file.hpp"

namespace culvert::proxy {
namespace {

constexpr std::size_t kLargest = std::size_t{1} << 20;

}  // namespace

Result<std::shared_ptr<const socks::Accounts>> read_accounts_file(const std::string& path) {
  const auto file = files::read_small_file(path, kLargest);
  if (!file) {
    return fail(file.error().code,
                fmt::format("cannot read the proxy's users in {}: {}", path, file.error().message),
                file.error().detail);
  }
  if ((file->status.st_mode & 077) != 0) {
    return fail(Errc::denied,
                fmt::format("others may use {}, which holds passwords (permissions 0{:03o}): chmod 600 it",
                            path, file->status.st_mode & 0777));
  }
  auto accounts = socks::Accounts::parse(file->content.text());
  if (!accounts) return fail(Errc::malformed, fmt::format("{}: {}", path, accounts.error().message));
  return std::make_shared<const socks::Accounts>(*std::move(accounts));
}

}  // namespace culvert::proxy

// SPDX-License-Identifier: Apache-2.0
#include "engine/proxy/accounts_file.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "net/unique_fd.hpp"

namespace culvert::proxy {
namespace {

constexpr std::size_t kLargest = std::size_t{1} << 20;

std::unexpected<Error> cannot_read(const std::string& path, int error) {
  return fail(Errc::system,
              fmt::format("cannot read the proxy's users in {}: {}", path, std::strerror(error)), error);
}

}  // namespace

Result<std::shared_ptr<const socks::Accounts>> read_accounts_file(const std::string& path) {
  const net::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  struct stat status = {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return cannot_read(path, errno);
  if (S_ISDIR(status.st_mode)) return cannot_read(path, EISDIR);
  if ((status.st_mode & 077) != 0) {
    return fail(Errc::denied,
                fmt::format("others may use {}, which holds passwords (permissions 0{:03o}): chmod 600 it",
                            path, status.st_mode & 0777));
  }
  SecretBytes content(kLargest + 1);  // at once, so that no copies of passwords are left behind
  std::size_t size = 0;
  while (size < content.size()) {
    const ssize_t got = ::read(file.get(), content.data() + size, content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannot_read(path, errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > kLargest) return fail(Errc::limit, fmt::format("{} is larger than {} bytes", path, kLargest));
  auto accounts = socks::Accounts::parse(content.text().substr(0, size));
  if (!accounts) return fail(Errc::malformed, fmt::format("{}: {}", path, accounts.error().message));
  return std::make_shared<const socks::Accounts>(*std::move(accounts));
}

}  // namespace culvert::proxy

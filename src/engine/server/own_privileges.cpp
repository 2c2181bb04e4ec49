// SPDX-License-Identifier: Apache-2.0
#include "engine/server/own_privileges.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "files/small_file.hpp"
#include "files/text_file.hpp"
#include "net/listener.hpp"

namespace culvert::server {
namespace {

constexpr std::size_t kLongestAuthorization = 256 * 1024;

Result<void> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno != EINTR) return fail(Errc::system, std::strerror(errno), errno);
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

// Never over a file that is there.
Result<void> make_key(const std::string& path) {
  // Others look for files of theirs in /etc/culvert; the key alone is nobody else's.
  const mode_t mask = ::umask(022);
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  ::umask(mask);
  const net::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return fail_errno("cannot make the host key " + printable(path), errno);
  const crypto::PrivateKey key = crypto::PrivateKey::generate_ed25519();
  const SecretBytes text = crypto::write_private_key(key);
  auto done = write_all(file.get(), text.text());
  if (done && ::fsync(file.get()) != 0) done = fail(Errc::system, std::strerror(errno), errno);
  if (!done) {
    ::unlink(path.c_str());
    return fail(Errc::system,
                fmt::format("cannot write the host key {}: {}", printable(path), done.error().message));
  }
  log(LogLevel::notice, "made the host key {}", printable(path));
  return {};
}

Result<crypto::PrivateKey> read_key(const std::string& path) {
  const std::string name = printable(path);
  const auto file = files::read_small_file(path, kLongestAuthorization);
  if (!file) return fail(file.error().code, fmt::format("host key {}: {}", name, file.error().message));
  if (file->status.st_uid == ::getuid() && (file->status.st_mode & 077) != 0) {
    return fail(Errc::denied,
                fmt::format("host key {}: others may read it (mode {:04o}); 'chmod 600' keeps it "
                            "to you, but who has read it can pose as this server",
                            name, file->status.st_mode & 07777));
  }
  auto key = crypto::parse_private_key(file->content.text());
  if (key) return key;
  if (key.error().code == Errc::needs_passphrase)
    return fail(Errc::unsupported,
                fmt::format("host key {}: it is encrypted; a server has nobody to ask", name));
  return fail(key.error().code, fmt::format("host key {}: {}", name, key.error().message));
}

}  // namespace

Result<std::unique_ptr<OwnPrivileges>> OwnPrivileges::load(const std::vector<std::string>& files,
                                                           const std::string& made) {
  std::unique_ptr<OwnPrivileges> own(new OwnPrivileges);
  if (!made.empty() && ::access(made.c_str(), F_OK) != 0 && errno == ENOENT) TRY(make_key(made));
  for (const std::string& path : files) {
    const crypto::PrivateKey key = TRY(read_key(path));
    if (std::ranges::find(own->public_, key.public_key()) != own->public_.end()) continue;
    own->public_.push_back(key.public_key());
    own->keys_.push_back(key);
  }
  if (own->keys_.empty()) return fail(Errc::usage, "there is no host key");
  return own;
}

Result<Bytes> OwnPrivileges::sign(std::size_t key, std::string_view algorithm, ByteView message) {
  if (key >= keys_.size()) return fail(Errc::not_found, "there is no such host key");
  return keys_[key].sign(algorithm, message);
}

Result<net::UniqueFd> OwnPrivileges::open(const std::string& path) {
  net::UniqueFd file(files::open_without_waiting(path));
  if (!file) return fail_errno("cannot open " + printable(path), errno);
  return file;
}

Result<net::UniqueFd> OwnPrivileges::bind(const boost::asio::ip::tcp::endpoint& endpoint) {
  return net::bind_tcp(endpoint);
}

}  // namespace culvert::server

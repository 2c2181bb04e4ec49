// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

#include "crypto/private_key.hpp"
#include "engine/server/privileges.hpp"

namespace culvert::testing {

/// Files in memory, and all that was asked for.
class RecordedPrivileges final : public server::Privileges {
 public:
  std::map<std::string, std::string> files;  ///< content by path
  std::vector<std::string> opened;
  std::vector<boost::asio::ip::tcp::endpoint> bound;
  std::vector<Bytes> signed_messages;

  [[nodiscard]] const std::vector<crypto::PublicKey>& host_keys() const override { return public_; }
  [[nodiscard]] Result<Bytes> sign(std::size_t key, std::string_view algorithm, ByteView message) override {
    if (key != 0) return fail(Errc::not_found, "there is no such host key");
    signed_messages.push_back(copy_of(message));
    return key_.sign(algorithm, message);
  }
  [[nodiscard]] Result<net::UniqueFd> open(const std::string& path) override {
    opened.push_back(path);
    const auto found = files.find(path);
    if (found == files.end()) return fail_errno("cannot open " + path, ENOENT);
    net::UniqueFd file(::memfd_create("file", MFD_CLOEXEC));
    (void)::fchmod(file.get(), 0600);
    if (::pwrite(file.get(), found->second.data(), found->second.size(), 0) < 0)
      return fail_errno("cannot write " + path, errno);
    return file;
  }
  [[nodiscard]] Result<net::UniqueFd> bind(const boost::asio::ip::tcp::endpoint& endpoint) override {
    bound.push_back(endpoint);
    return net::UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  }

 private:
  const crypto::PrivateKey key_ = crypto::PrivateKey::generate_ed25519();
  const std::vector<crypto::PublicKey> public_ = {key_.public_key()};
};

}  // namespace culvert::testing

// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/tunnel/identity_file.hpp"
#include "engine/tunnel/server_options.hpp"

namespace culvert::tunnel {

/// The identity files of one server and what was unlocked of them. Lives as long as its owner wants to log in
/// again without asking for a passphrase again: handed from one Authenticator to the next.
class Identities {
 public:
  /// Reads the files of `options`. One that has not changed since the last load() is the same object as
  /// before, unlocked or not. What cannot be used is warned of, once.
  void load(const ServerOptions& options);

  /// Those that could be read, in the order of the options.
  [[nodiscard]] const std::vector<std::shared_ptr<IdentityFile>>& files() const { return files_; }

 private:
  void complain(const ServerOptions& options, const std::string& path, const Error& error) const;

  std::vector<std::shared_ptr<IdentityFile>> files_;
  bool loaded_ = false;
};

}  // namespace culvert::tunnel

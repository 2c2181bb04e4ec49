// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "crypto/certificate.hpp"
#include "engine/tunnel/identity_file.hpp"
#include "engine/tunnel/server_options.hpp"

namespace culvert::tunnel {

/// A certificate of one of our keys, and where it was.
struct LoadedCertificate {
  std::string path;
  crypto::Certificate certificate;
};

/// The identity files of one server and what was unlocked of them. Lives as long as its owner wants to log in
/// again without asking for a passphrase again: handed from one Authenticator to the next.
class Identities {
 public:
  /// Reads the files of `options`. One that has not changed since the last load() is the same object as
  /// before, unlocked or not; one that can no longer be read is kept as it was. What cannot be used is warned
  /// of, again only if it is for another reason.
  void load(const ServerOptions& options);

  /// Those that could be read, in the order of the options.
  [[nodiscard]] const std::vector<std::shared_ptr<IdentityFile>>& files() const { return files_; }
  /// Certificates for users, of CertificateFile or, if there is none, those beside the files: PATH-cert.pub.
  [[nodiscard]] const std::vector<LoadedCertificate>& certificates() const { return certificates_; }

 private:
  void complain(const ServerOptions& options, const std::string& path, const Error& error);
  void load_certificate(const std::string& path, bool explicit_);
  /// `level` the first time that this is said of the path.
  [[nodiscard]] LogLevel level_of_news(LogLevel level, const std::string& path, const std::string& message);

  std::vector<std::shared_ptr<IdentityFile>> files_;
  std::vector<LoadedCertificate> certificates_;
  std::map<std::string, std::string> said_;  // path -> message
};

}  // namespace culvert::tunnel

// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/identities.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/log.hpp"
#include "files/small_file.hpp"

namespace culvert::tunnel {

void Identities::load(const ServerOptions& options) {
  const auto before = std::exchange(files_, {});
  for (const std::string& path : options.identity_files) {
    auto file = IdentityFile::load(path);
    if (!file) {
      complain(options, path, file.error());
      continue;
    }
    const auto same = std::ranges::find_if(before, [&](const auto& old) { return old->is_same_file(*file); });
    files_.push_back(same != before.end() ? *same : std::make_shared<IdentityFile>(*std::move(file)));
  }
  certificates_.clear();
  for (const std::string& path : options.certificate_files) load_certificate(path, true);
  if (options.certificate_files.empty()) {
    for (const std::string& path : options.identity_files) load_certificate(path + "-cert.pub", false);
  }
  loaded_ = true;
}

// A file that is only looked for is passed over in silence if it is not there; what it holds, if it is,
// counts.
void Identities::load_certificate(const std::string& path, bool explicit_) {
  const auto level = loaded_ ? LogLevel::debug : LogLevel::warning;
  auto file = files::read_small_file(path, kLongestKeyFile);
  if (!file && explicit_) file = files::read_small_file(path + ".pub", kLongestKeyFile);
  if (!file) {
    const bool expected = !explicit_ && file.error().code == Errc::not_found;
    log(expected ? LogLevel::debug : level, "certificate file {}: {}", path, file.error().message);
    return;
  }
  const std::string_view text = file->content.text();
  auto certificate = crypto::parse_certificate_line(text.substr(0, text.find_first_of("\r\n")));
  if (!certificate) {
    log(level, "certificate file {}: {}", path, certificate.error().message);
    return;
  }
  if (certificate->kind() != crypto::Certificate::Kind::user) {
    log(level, "certificate file {}: it is for a host, not for a user", path);
    return;
  }
  // The clock here may be wrong, so it is offered all the same: the server decides.
  const auto now = static_cast<std::uint64_t>(std::max<std::time_t>(std::time(nullptr), 0));
  if (const auto valid = crypto::check_validity(*certificate, now); !valid)
    log(level, "certificate file {}: {}", path, valid.error().message);
  certificates_.push_back({path, *std::move(certificate)});
}

void Identities::complain(const ServerOptions& options, const std::string& path, const Error& error) const {
  const auto level = [this](LogLevel first) { return loaded_ ? LogLevel::debug : first; };
  if (error.code == Errc::denied) {
    log(level(LogLevel::warning), "{}", error.message);
  } else if (options.identities_explicit) {
    log(level(LogLevel::warning), "Identity file {} not accessible: {}", path, error.message);
  } else {
    log(error.code == Errc::not_found ? LogLevel::debug : level(LogLevel::warning), "identity file {}: {}",
        path, error.message);
  }
}

}  // namespace culvert::tunnel

// SPDX-License-Identifier: Apache-2.0
#include "engine/tunnel/identities.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/text.hpp"
#include "files/small_file.hpp"

namespace culvert::tunnel {

void Identities::load(const ServerOptions& options) {
  const auto before = std::exchange(files_, {});
  for (const std::string& path : options.identity_files) {
    auto file = IdentityFile::load(path);
    if (!file) {
      complain(options, path, file.error());
      // A pipe, or a volume that is gone: it was read once. Not one that others may read by now.
      const auto old = std::ranges::find(before, path, [](const auto& one) { return one->path(); });
      if (old != before.end() && file.error().code != Errc::denied) files_.push_back(*old);
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
}

// A file that is only looked for is passed over in silence if it is not there; what it holds, if it is,
// counts.
void Identities::load_certificate(const std::string& path, bool explicit_) {
  const auto warn = [&](const std::string& message) {
    log(level_of_news(LogLevel::warning, path, message), "certificate file {}: {}", printable(path), message);
  };
  auto file = read_key_file(path);
  if (!file && explicit_) file = read_key_file(path + ".pub");
  if (!file) {
    const bool expected = !explicit_ && file.error().code == Errc::not_found;
    if (!expected) return warn(file.error().message);
    log(LogLevel::debug, "certificate file {}: {}", printable(path), file.error().message);
    return;
  }
  const std::string_view text = file->content.text();
  auto certificate = crypto::parse_certificate_line(text.substr(0, text.find_first_of("\r\n")));
  if (!certificate) return warn(certificate.error().message);
  if (certificate->kind() != crypto::Certificate::Kind::user) return warn("it is for a host, not for a user");
  // The clock here may be wrong, so it is offered all the same: the server decides.
  const auto now = static_cast<std::uint64_t>(std::max<std::time_t>(std::time(nullptr), 0));
  if (const auto valid = crypto::check_validity(*certificate, now); !valid) warn(valid.error().message);
  certificates_.push_back({path, *std::move(certificate)});
}

void Identities::complain(const ServerOptions& options, const std::string& path, const Error& error) {
  // Whoever named a file wants to know even where warnings are not shown (-W).
  const auto first = options.identities_explicit     ? LogLevel::error
                     : error.code == Errc::not_found ? LogLevel::debug
                                                     : LogLevel::warning;
  const auto level = level_of_news(first, path, error.message);
  if (error.code == Errc::denied) {
    log(level, "{}", error.message);
  } else if (options.identities_explicit) {
    log(level, "Identity file {} not accessible: {}", printable(path), error.message);
  } else {
    log(level, "identity file {}: {}", printable(path), error.message);
  }
}

LogLevel Identities::level_of_news(LogLevel level, const std::string& path, const std::string& message) {
  return std::exchange(said_[path], message) == message ? LogLevel::debug : level;
}

}  // namespace culvert::tunnel

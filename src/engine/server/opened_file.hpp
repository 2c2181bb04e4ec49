// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <string>
#include <utility>

#include "engine/server/privileges.hpp"
#include "files/text_file.hpp"

namespace culvert::server {

/// For those who read files. `privileges` must outlive it.
[[nodiscard]] inline files::FileOpener opener(Privileges& privileges) {
  return [&privileges](const std::string& path) {
    auto file = privileges.open(path);
    if (file) return file->release();
    errno = static_cast<int>(file.error().detail);
    return -1;
  };
}

/// What is there: another file, other content, another owner or mode has another stamp. Take it before you
/// read: what changes meanwhile shows then. For every open, so a file is opened for that only if it cannot be
/// looked at otherwise.
[[nodiscard]] std::string file_stamp(const std::string& path, Privileges& privileges);

/// A file that is read again when it has changed.
class WatchedFile {
 public:
  /// Whether it has to be read now.
  [[nodiscard]] bool is_due(const std::string& path, Privileges& privileges) {
    seen_ = file_stamp(path, privileges);
    return seen_ != read_;
  }
  /// What came of it. Where the system failed, and not the file (no descriptor was left), it is due again.
  template <class T>
  void was_read(const Result<T>& content) {
    if (content || content.error().code != Errc::system) read_ = seen_;
    if (content) said_.clear();
  }
  /// Whether nobody was told of that yet, since it could last be read.
  [[nodiscard]] bool is_news(const std::string& message) { return std::exchange(said_, message) != message; }

 private:
  std::string seen_, read_;  // stamps
  std::string said_;
};

}  // namespace culvert::server

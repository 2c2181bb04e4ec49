// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/complaint.hpp"
#include "base/result.hpp"
#include "net/unique_fd.hpp"

namespace culvert::server {

/// Keeps what was used of quotas in a file, over restarts of the server and of the machine. Its calls block,
/// briefly. Of use to one thread at a time.
class QuotaBook {
 public:
  /// Reads the file; it is made, for its owner alone, if it is not there. Held open and locked from then on,
  /// so that what opens it may give up the right to. Errc::system, Errc::malformed, Errc::limit (a file of 16
  /// MiB): lines for the user.
  [[nodiscard]] static Result<std::unique_ptr<QuotaBook>> open(const std::string& path);

  /// Bytes; 0 for a name that it does not know.
  [[nodiscard]] std::uint64_t used(const std::string& name) const;
  /// From now on used() says so, also after a restart. What cannot be written is complained of in the log.
  void keep(const std::string& name, std::uint64_t bytes);

 private:
  struct Entry {
    std::uint64_t bytes;
    std::size_t offset;
  };

  QuotaBook(std::string path, net::UniqueFd file) : path_(std::move(path)), file_(std::move(file)) {}
  [[nodiscard]] Result<void> write(std::size_t offset, const std::string& text);

  const std::string path_;
  const net::UniqueFd file_;
  std::map<std::string, Entry> entries_;
  std::size_t end_ = 0;
  Complaint complaint_;
};

}  // namespace culvert::server

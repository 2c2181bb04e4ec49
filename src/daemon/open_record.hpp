// SPDX-License-Identifier: Apache-2.0
// What ports the culverts of this user keep open, for `culvert open --list` and `--close`: a file for each
// process, locked as long as that lives.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "net/unique_fd.hpp"

namespace culvert::daemon {

struct OpenPortRecord {
  std::string protocol;            ///< "tcp", "udp"
  std::string outside;             ///< "203.0.113.5:8080"
  std::uint16_t port = 0;          ///< of that
  std::string inside, router, by;  ///< "192.168.1.20:8080", "192.168.1.1", "PCP"
  UnixSeconds until = 0;           ///< by itself; 0: never
  bool operator==(const OpenPortRecord&) const = default;
};

/// What one process keeps open.
struct OpenRecord {
  std::int64_t pid = 0;
  bool is_running = false;  ///< otherwise it was killed: ports stay open until their time
  std::vector<OpenPortRecord> ports;
};

/// Where they are: below $XDG_RUNTIME_DIR, or /run/culvert/open for root without one; empty: there is no such
/// place.
[[nodiscard]] std::string open_records_folder();

/// Of this process; its file goes with it.
class OpenRecordFile {
 public:
  /// Errc::system: the folder cannot be made or written.
  [[nodiscard]] static Result<OpenRecordFile> create(const std::string& folder);
  ~OpenRecordFile();
  OpenRecordFile(OpenRecordFile&&) noexcept = default;
  OpenRecordFile& operator=(OpenRecordFile&&) = delete;

  [[nodiscard]] Result<void> write(std::span<const OpenPortRecord> ports);

 private:
  OpenRecordFile(net::UniqueFd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  net::UniqueFd file_;
  std::string path_;
};

/// All of them, by process. Ports of processes that were killed are left out when their time is over, and the
/// file goes with the last. What cannot be read is passed over.
[[nodiscard]] std::vector<OpenRecord> read_open_records(const std::string& folder, UnixSeconds now);

/// The text of a file, and what such a text says; Errc::malformed.
[[nodiscard]] std::string encode_open_record(std::span<const OpenPortRecord> ports);
[[nodiscard]] Result<std::vector<OpenPortRecord>> decode_open_record(std::string_view text);

}  // namespace culvert::daemon

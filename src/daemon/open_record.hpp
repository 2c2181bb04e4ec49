// SPDX-License-Identifier: Apache-2.0
// What ports the culverts of this user keep open, for `culvert open --list` and `--close`: a file for each
// process, locked as long as that lives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/time.hpp"
#include "net/unique_fd.hpp"
#include "proto/gateway/messages.hpp"

namespace culvert::daemon {

struct OpenPortRecord {
  std::string protocol;            ///< "tcp", "udp"
  std::string outside;             ///< "203.0.113.5:8080"
  std::uint16_t port = 0;          ///< of that
  std::string inside, router, by;  ///< "192.168.1.20:8080", "192.168.1.1", "PCP"
  UnixSeconds until = 0;           ///< by itself; 0: never
  gateway::Nonce nonce{};          ///< that it was asked for with: PCP lets nobody else change it
  bool operator==(const OpenPortRecord&) const = default;
};

/// What one process keeps open.
struct OpenRecord {
  std::string path = {};  ///< of its file
  std::int64_t pid = 0;
  bool is_running = false;  ///< otherwise it was killed: ports stay open until their time
  std::vector<OpenPortRecord> ports;
};

/// Where they are: below $XDG_RUNTIME_DIR, or /run/culvert/open for root without one; empty: there is no such
/// place.
[[nodiscard]] std::string open_records_folder();

/// Of this process; its file goes with it. Written and read with what rights there are when it is made.
class OpenRecordFile {
 public:
  /// Errc::system: the folder cannot be made or written.
  [[nodiscard]] static Result<OpenRecordFile> create(const std::string& folder);
  ~OpenRecordFile();
  OpenRecordFile(OpenRecordFile&&) noexcept = default;
  OpenRecordFile& operator=(OpenRecordFile&&) noexcept = delete;

  [[nodiscard]] Result<void> write(std::span<const OpenPortRecord> ports);

 private:
  OpenRecordFile(net::UniqueFd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}
  net::UniqueFd file_;
  std::string path_;
  std::size_t size_ = 0;  // of what was written
};

/// The file of a process that was killed, opened for who takes its ports over.
class LeftOpenFile {
 public:
  LeftOpenFile(net::UniqueFd file, std::vector<OpenPortRecord> ports, std::size_t size)
      : file_(std::move(file)), ports_(std::move(ports)), size_(size) {}

  /// Takes out what somebody else keeps now: the same port of the same router.
  void forget(std::span<const OpenPortRecord> kept);

 private:
  net::UniqueFd file_;
  std::vector<OpenPortRecord> ports_;
  std::size_t size_;
};

/// What a process has to know and to have before it gives up its rights.
struct OpenRecords {
  std::optional<OpenRecordFile> own;
  std::vector<OpenRecord> others;
  std::vector<LeftOpenFile> left;  ///< of those that do not run

  /// Where there is no place for them, that is told (-v).
  [[nodiscard]] static OpenRecords take(const std::string& folder);
};

/// All of them, by process. Ports of processes that were killed are left out when their time is over, and the
/// file goes with the last. What cannot be read is passed over.
[[nodiscard]] std::vector<OpenRecord> read_open_records(const std::string& folder, UnixSeconds now);

/// The text of a file, and what such a text says; Errc::malformed.
[[nodiscard]] std::string encode_open_record(std::span<const OpenPortRecord> ports);
[[nodiscard]] Result<std::vector<OpenPortRecord>> decode_open_record(std::string_view text);

}  // namespace culvert::daemon

// SPDX-License-Identifier: Apache-2.0
#include "daemon/open_record.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "base/log.hpp"
#include "base/text.hpp"
#include "crypto/base64.hpp"

namespace culvert::daemon {

namespace json = boost::json;

namespace {

constexpr std::size_t kLongestFile = 1 << 20;
constexpr std::string_view kEnding = ".json";

std::optional<std::string> whole_text(int file) {
  std::string text(kLongestFile, '\0');
  const ssize_t size = ::pread(file, text.data(), text.size(), 0);
  if (size < 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::string path_of(const std::string& folder, std::int64_t pid) {
  return folder + "/" + std::to_string(pid) + std::string(kEnding);
}

// Under the name of no process: "PID.SECONDS.json".
void make_way(OpenRecord& record) {
  constexpr int kTries = 100;  // runs of one number that were killed within a second
  const std::string stem = record.path.substr(0, record.path.size() - kEnding.size());
  for (int i = 0; i < kTries; ++i) {
    const std::string other = fmt::format("{}.{}{}", stem, unix_now() + i, kEnding);
    if (::link(record.path.c_str(), other.c_str()) != 0) {
      if (errno == EEXIST) continue;
      return;
    }
    ::unlink(record.path.c_str());
    record.path = other;
    return;
  }
}

// A shorter text has blanks behind it: a sandbox allows to write, and no more. `size`: of the text that is
// there. Leaves errno.
bool overwrite(int file, std::size_t& size, std::span<const OpenPortRecord> ports) {
  std::string text = encode_open_record(ports);
  text.resize(std::max(text.size(), size), ' ');
  size = text.size();
  return ::pwrite(file, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
}

bool set_text(const json::object& from, std::string_view name, std::string& to) {
  const json::value* value = from.if_contains(name);
  if (value == nullptr || !value->is_string() || !is_printable(std::string_view(value->get_string())))
    return false;
  to = std::string_view(value->get_string());
  return true;
}

std::optional<std::int64_t> number_of(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  return value != nullptr && value->is_int64() ? std::optional(value->get_int64()) : std::nullopt;
}

std::optional<OpenPortRecord> port_of(const json::value& value) {
  if (!value.is_object()) return std::nullopt;
  const json::object& from = value.get_object();
  OpenPortRecord port;
  const auto number = number_of(from, "port"), until = number_of(from, "until");
  const bool is_whole = set_text(from, "protocol", port.protocol) &&
                        set_text(from, "outside", port.outside) && set_text(from, "inside", port.inside) &&
                        set_text(from, "router", port.router) && set_text(from, "by", port.by) && number &&
                        *number > 0 && *number <= 0xFFFF && until;
  if (!is_whole) return std::nullopt;
  port.port = static_cast<std::uint16_t>(*number);
  port.until = *until;
  std::string nonce;
  if (!from.contains("nonce")) return port;
  if (!set_text(from, "nonce", nonce)) return std::nullopt;
  const auto bytes = crypto::base64_decode(nonce);
  if (!bytes || bytes->size() != port.nonce.size()) return std::nullopt;
  std::ranges::copy(*bytes, port.nonce.begin());
  return port;
}

}  // namespace

std::string open_records_folder() {
  const char* folder = std::getenv("XDG_RUNTIME_DIR");
  if (folder != nullptr && folder[0] == '/') return std::string(folder) + "/culvert/open";
  return ::geteuid() == 0 ? "/run/culvert/open" : "";
}

std::string encode_open_record(std::span<const OpenPortRecord> ports) {
  json::array list;
  for (const OpenPortRecord& port : ports) {
    json::object one = {
        {"protocol", port.protocol}, {"outside", port.outside}, {"port", std::int64_t{port.port}},
        {"inside", port.inside},     {"router", port.router},   {"by", port.by},
        {"until", port.until}};
    if (port.nonce != gateway::Nonce()) one["nonce"] = crypto::base64_encode(port.nonce);
    list.push_back(std::move(one));
  }
  return json::serialize(list);
}

Result<std::vector<OpenPortRecord>> decode_open_record(std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse(json::string_view(text), error);
  if (error || !value.is_array()) return fail(Errc::malformed, "not a list of open ports");
  std::vector<OpenPortRecord> ports;
  for (const json::value& one : value.get_array()) {
    auto port = port_of(one);
    if (!port) return fail(Errc::malformed, "not a list of open ports");
    ports.push_back(std::move(*port));
  }
  return ports;
}

Result<OpenRecordFile> OpenRecordFile::create(const std::string& folder) {
  if (folder.empty()) return fail(Errc::not_found, "there is no XDG_RUNTIME_DIR");
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  std::string path = path_of(folder, ::getpid());
  // Of an earlier process of this number, or of one that runs in another container.
  const net::UniqueFd there(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (there && ::flock(there.get(), LOCK_SH | LOCK_NB) != 0) return fail_errno("cannot lock " + path, errno);
  // It is locked before anybody can see it: one that is not was left behind.
  const std::string made =
      fmt::format("{}/.{}.{}", folder, ::getpid(), monotonic_now().time_since_epoch().count());
  net::UniqueFd file(::open(made.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail_errno("cannot write " + made, errno);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0 || ::rename(made.c_str(), path.c_str()) != 0) {
    const int cause = errno;
    ::unlink(made.c_str());
    return fail_errno("cannot make " + path, cause);
  }
  return OpenRecordFile(std::move(file), std::move(path));
}

// Who has given up its rights cannot take the file away: then it says nothing, and the next reader does.
OpenRecordFile::~OpenRecordFile() {
  if (!file_) return;
  (void)write({});
  ::unlink(path_.c_str());
}

Result<void> OpenRecordFile::write(std::span<const OpenPortRecord> ports) {
  if (!overwrite(file_.get(), size_, ports)) return fail_errno("cannot write " + path_, errno);
  return {};
}

OpenRecords OpenRecords::take(const std::string& folder) {
  OpenRecords records{.own = {}, .others = read_open_records(folder, unix_now()), .left = {}};
  for (OpenRecord& record : records.others) {
    if (record.is_running) continue;
    // In a container each run may have the number of the one before.
    if (record.path == path_of(folder, ::getpid())) make_way(record);
    net::UniqueFd file(::open(record.path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    const auto text = file ? whole_text(file.get()) : std::nullopt;
    if (text) records.left.emplace_back(std::move(file), record.ports, text->size());
  }
  auto own = OpenRecordFile::create(folder);
  if (own) {
    records.own.emplace(std::move(*own));
  } else {
    log(LogLevel::verbose, "--list will not show this one: {}", own.error().message);
  }
  return records;
}

namespace {

struct Entry {
  std::string path;
  std::int64_t pid;
};

std::vector<Entry> files_in(const std::string& folder) {
  std::vector<Entry> entries;
  std::error_code error;
  for (const auto& one : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = one.path().filename().string();
    std::int64_t pid = 0;
    const auto [end, wrong] = std::from_chars(name.data(), name.data() + name.size(), pid);
    const std::string_view rest = end;  // ".json", ".SECONDS.json"
    if (wrong == std::errc() && pid > 0 && rest.starts_with('.') && rest.ends_with(kEnding))
      entries.push_back({one.path().string(), pid});
  }
  std::ranges::sort(entries, {}, &Entry::pid);
  return entries;
}

}  // namespace

std::vector<OpenRecord> read_open_records(const std::string& folder, UnixSeconds now) {
  std::vector<OpenRecord> records;
  for (const auto& [path, pid] : files_in(folder)) {
    OpenRecord record{.path = path, .pid = pid, .is_running = false, .ports = {}};
    const net::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) continue;
    record.is_running = ::flock(file.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    auto ports = decode_open_record(whole_text(file.get()).value_or(""));
    if (ports) record.ports = std::move(*ports);
    if (!record.is_running) {
      std::erase_if(record.ports,
                    [now](const OpenPortRecord& port) { return port.until != 0 && port.until <= now; });
      if (record.ports.empty()) {
        ::unlink(path.c_str());
        continue;
      }
    }
    records.push_back(std::move(record));
  }
  return records;
}

void LeftOpenFile::forget(std::span<const OpenPortRecord> kept) {
  const auto is_kept = [kept](const OpenPortRecord& left) {
    return std::ranges::any_of(kept, [&left](const OpenPortRecord& one) {
      return one.router == left.router && one.protocol == left.protocol && one.port == left.port;
    });
  };
  // Without a place for it the port stays in the list until its time: no harm.
  if (std::erase_if(ports_, is_kept) > 0) (void)overwrite(file_.get(), size_, ports_);
}

}  // namespace culvert::daemon

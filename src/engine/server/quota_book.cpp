// SPDX-License-Identifier: Apache-2.0
#include "engine/server/quota_book.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/log.hpp"
#include "base/text.hpp"
#include "files/quota_file.hpp"
#include "files/text_file.hpp"

namespace culvert::server {
namespace {

constexpr std::size_t kMostBytes = std::size_t{16} << 20;

}  // namespace

Result<std::unique_ptr<QuotaBook>> QuotaBook::open(const std::string& path) {
  const std::string name = printable(path);
  net::UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600));
  if (!file) return fail_errno("quota file " + name, errno);
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) return fail_errno("quota file " + name, errno);
  if (!S_ISREG(status.st_mode)) return fail(Errc::system, fmt::format("quota file {}: it is no file", name));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno("quota file " + name, errno);
    return fail(Errc::system, fmt::format("quota file {}: another server keeps it", name));
  }
  std::unique_ptr<QuotaBook> book(new QuotaBook(path, std::move(file)));
  const auto again = [&](const std::string&) { return ::fcntl(book->file_.get(), F_DUPFD_CLOEXEC, 0); };
  const auto read = files::read_text_file(path, kMostBytes, again);
  if (!read) return fail(read.error().code, "quota file: " + read.error().message);
  const files::QuotaFile content = TRY(files::parse_quota_file(read->text, path));
  for (const files::QuotaEntry& entry : content.entries)
    book->entries_.emplace(entry.name, Entry{entry.bytes, entry.offset});
  book->end_ = content.end;
  // Or its rest would stand behind a shorter line that comes there.
  if (::ftruncate(book->file_.get(), static_cast<off_t>(content.end)) != 0)
    return fail_errno("quota file " + name, errno);
  return book;
}

std::uint64_t QuotaBook::used(const std::string& name) const {
  const auto found = entries_.find(printable(name));
  return found == entries_.end() ? 0 : found->second.bytes;
}

void QuotaBook::keep(const std::string& name, std::uint64_t bytes) {
  const std::string shown = printable(name);
  const auto found = entries_.find(shown);
  if (found != entries_.end() && found->second.bytes == bytes) return;
  const bool is_new = found == entries_.end();
  const std::string text = is_new ? files::quota_line(bytes, shown) : files::quota_number(bytes);
  if (const auto written = write(is_new ? end_ : found->second.offset, text); !written) {
    if (complaint_.is_due(monotonic_now()))
      log(LogLevel::error, "quota file {}: {}; what is used now is forgotten at a restart", printable(path_),
          written.error().message);
    return;
  }
  if (is_new) {
    entries_.emplace(shown, Entry{bytes, end_});
    end_ += text.size();
  } else {
    found->second.bytes = bytes;
  }
}

Result<void> QuotaBook::write(std::size_t offset, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t count =
        ::pwrite(file_.get(), text.data() + done, text.size() - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno != EINTR) return fail(Errc::system, std::strerror(errno), errno);
    if (count > 0) done += static_cast<std::size_t>(count);
  }
  return {};
}

}  // namespace culvert::server

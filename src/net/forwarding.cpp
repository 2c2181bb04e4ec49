// SPDX-License-Identifier: Apache-2.0
#include "net/forwarding.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>

#include <fmt/format.h>

#include "base/text.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {
namespace {

namespace fs = std::filesystem;

std::string path_of(std::string name) {
  for (char& c : name)
    if (c == '.') c = '/';
  return "/proc/sys/" + name;
}

Result<std::string> read_value(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno("cannot read " + printable(path), errno);
  char text[32];
  const ssize_t size = ::read(file.get(), text, sizeof text);
  if (size < 0) return fail_errno("cannot read " + printable(path), errno);
  std::string value(text, static_cast<std::size_t>(size));
  value.resize(value.find_last_not_of(" \n") + 1);
  return value;
}

// Leaves errno.
bool write_value(const std::string& path, bool on) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file && ::write(file.get(), on ? "1\n" : "0\n", 2) == 2;
}

// Where each interface has a folder.
fs::path folder_of(bool is_v4) { return is_v4 ? "/proc/sys/net/ipv4/conf" : "/proc/sys/net/ipv6/conf"; }

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    names.push_back(at->path().filename());
  return names;
}

}  // namespace

std::string Forwarding::name() const {
  return is_v4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
}

Result<bool> Forwarding::is_on() const {
  auto value = read_value(path_of(name()));
  if (!value) {
    if (value.error().detail == ENOENT) value.error().code = Errc::not_found;
    return std::unexpected(value.error());
  }
  return *value != "0";
}

bool Forwarding::is_on(const std::string& interface) const {
  if (!is_v4 && is_on().value_or(false)) return true;
  const auto value = read_value(folder_of(is_v4) / interface / (is_v4 ? "forwarding" : "force_forwarding"));
  return value && *value != "0";
}

std::vector<std::string> Forwarding::interfaces_on() const {
  std::vector<std::string> names;
  for (std::string& name : names_in(folder_of(is_v4))) {
    const auto value = read_value(folder_of(is_v4) / name / "forwarding");
    if (name != "all" && value && *value != "0") names.push_back(std::move(name));
  }
  return names;
}

Result<void> Forwarding::set(bool on) const {
  if (write_value(path_of(name()), on)) return {};
  return fail_errno(fmt::format("cannot set {} to {}", name(), on ? 1 : 0), errno);
}

Result<void> Forwarding::set(bool on, const std::string& interface) const {
  const fs::path path = folder_of(is_v4) / interface / "forwarding";
  if (write_value(path, on) || errno == ENOENT) return {};
  return fail_errno(fmt::format("cannot set {} to {}", printable(path.native()), on ? 1 : 0), errno);
}

std::vector<std::string> interfaces_that_need_advertisements() {
  std::vector<std::string> names;
  for (std::string& name : names_in(folder_of(false))) {
    if (name == "all" || name == "default" || name == "lo") continue;
    const auto accepts = read_value(folder_of(false) / name / "accept_ra");
    if (accepts && *accepts == "1") names.push_back(std::move(name));
  }
  return names;
}

bool tracks_dccp() {
  std::error_code ignored;
  const fs::path netfilter = "/proc/sys/net/netfilter";
  return fs::exists(netfilter / "nf_conntrack_dccp_timeout_open", ignored) ||
         !fs::exists(netfilter / "nf_conntrack_max", ignored);
}

}  // namespace culvert::net

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

Result<void> Forwarding::set(bool on) const {
  const UniqueFd file(::open(path_of(name()).c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), on ? "1\n" : "0\n", 2) != 2)
    return fail_errno(fmt::format("cannot set {} to {}", name(), on ? 1 : 0), errno);
  return {};
}

std::vector<std::string> interfaces_that_need_advertisements() {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator at("/proc/sys/net/ipv6/conf", error), end; !error && at != end;
       at.increment(error)) {
    const std::string name = at->path().filename();
    if (name == "all" || name == "default" || name == "lo") continue;
    const auto accepts = read_value(at->path() / "accept_ra");
    if (accepts && *accepts == "1") names.push_back(name);
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

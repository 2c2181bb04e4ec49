// SPDX-License-Identifier: Apache-2.0
#include "load/tun.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <cstring>

namespace culvert::load {
namespace {

/// Packets that wait in the device until we read them: enough for a window of 64 MiB in packets of 1500.
constexpr int kQueueLength = 50'000;

ifreq request_for(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

void set_address(int control, const TunSettings& settings) {
  const auto ask = [&](unsigned long what, const char* address, const char* text) {
    ifreq request = request_for(settings.name);
    sockaddr_in in{};
    in.sin_family = AF_INET;
    if (inet_pton(AF_INET, address, &in.sin_addr) != 1) die(fmt::format("'{}' is not an address", address));
    std::memcpy(&request.ifr_addr, &in, sizeof in);
    if (ioctl(control, what, &request) != 0) die_errno(text);
  };
  ask(SIOCSIFADDR, settings.address.c_str(), "SIOCSIFADDR");
  ask(SIOCSIFNETMASK, "255.255.255.252", "SIOCSIFNETMASK");
}

}  // namespace

Fd open_tun(const TunSettings& settings) {
  const Fd netns(::open(settings.netns.c_str(), O_RDONLY | O_CLOEXEC));
  if (!netns.is_open()) die_errno(settings.netns);
  if (::setns(netns.get(), CLONE_NEWNET) != 0) die_errno("setns");

  Fd tun(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!tun.is_open()) die_errno("/dev/net/tun");
  ifreq request = request_for(settings.name);
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (ioctl(tun.get(), TUNSETIFF, &request) != 0) die_errno("TUNSETIFF");
  const unsigned long offload = settings.offload ? TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 : 0;
  if (ioctl(tun.get(), TUNSETOFFLOAD, offload) != 0) die_errno("TUNSETOFFLOAD");

  const Fd control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!control.is_open()) die_errno("socket");
  set_address(control.get(), settings);
  request = request_for(settings.name);
  request.ifr_mtu = settings.mtu;
  if (ioctl(control.get(), SIOCSIFMTU, &request) != 0) die_errno("SIOCSIFMTU");
  request = request_for(settings.name);
  request.ifr_qlen = kQueueLength;
  if (ioctl(control.get(), SIOCSIFTXQLEN, &request) != 0) die_errno("SIOCSIFTXQLEN");
  request = request_for(settings.name);
  request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_NOARP | IFF_POINTOPOINT;
  if (ioctl(control.get(), SIOCSIFFLAGS, &request) != 0) die_errno("SIOCSIFFLAGS");
  return tun;
}

}  // namespace culvert::load

// SPDX-License-Identifier: Apache-2.0
#include "net/route_lookup.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "base/bytes.hpp"
#include "net/unique_fd.hpp"

namespace culvert::net {
namespace {

template <class T>
T read_as(ByteView bytes) {
  T value{};
  if (bytes.size() >= sizeof value) std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

struct Answer {
  rtmsg head{};
  int interface = 0;
  std::uint32_t table = 0;
  std::optional<IpAddress> gateway;
};

Answer read_route(ByteView message) {
  Answer answer;
  answer.head = read_as<rtmsg>(message);
  answer.table = answer.head.rtm_table;
  ByteView rest = message.subspan(std::min(message.size(), std::size_t{NLMSG_ALIGN(sizeof(rtmsg))}));
  while (rest.size() >= sizeof(rtattr)) {
    const auto attribute = read_as<rtattr>(rest);
    const std::size_t size = attribute.rta_len;
    if (size < sizeof(rtattr) || size > rest.size()) break;
    const ByteView value = rest.first(size).subspan(RTA_LENGTH(0));
    switch (attribute.rta_type) {
      case RTA_OIF:
        answer.interface = read_as<int>(value);
        break;
      case RTA_TABLE:
        answer.table = read_as<std::uint32_t>(value);
        break;
      case RTA_GATEWAY:
        answer.gateway = IpAddress::from_bytes(value);
        break;
      case RTA_VIA:  // a router of the other family
        answer.gateway = IpAddress::from_bytes(value.subspan(std::min(value.size(), std::size_t{2})));
        break;
      case RTA_MULTIPATH:  // the first of several: they are the same to whoever asks this
        if (const auto hop = read_as<rtnexthop>(value); answer.interface == 0)
          answer.interface = hop.rtnh_ifindex;
        break;
      default:
        break;
    }
    rest = rest.subspan(std::min<std::size_t>(RTA_ALIGN(size), rest.size()));
  }
  return answer;
}

// One question, and all that is answered.
class Question {
 public:
  Question(unsigned char family, std::uint16_t flags) {
    head_.nlmsg_type = RTM_GETROUTE;
    head_.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    route_.rtm_family = family;
  }

  void about(const IpAddress& address) {
    route_.rtm_dst_len = static_cast<unsigned char>(address.bytes().size() * 8);
    attribute_.rta_type = RTA_DST;
    attribute_.rta_len = static_cast<std::uint16_t>(RTA_LENGTH(address.bytes().size()));
    address_ = address;
  }

  Result<std::vector<Answer>> ask() {
    const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!socket) return fail_errno("rtnetlink", errno);
    const Bytes request = encoded();
    if (::send(socket.get(), request.data(), request.size(), 0) < 0) return fail_errno("rtnetlink", errno);
    std::vector<Answer> answers;
    std::vector<std::uint8_t> buffer(std::size_t{64} * 1024);
    for (;;) {
      const ssize_t size = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return fail_errno("rtnetlink", errno);
      const bool is_done = TRY(take(ByteView(buffer).first(static_cast<std::size_t>(size)), answers));
      if (is_done) return answers;
    }
  }

 private:
  [[nodiscard]] Bytes encoded() const {
    Bytes request(NLMSG_LENGTH(sizeof route_));
    if (address_) {
      request.resize(request.size() + RTA_ALIGN(attribute_.rta_len));
      std::memcpy(request.data() + NLMSG_LENGTH(sizeof route_), &attribute_, sizeof attribute_);
      std::memcpy(request.data() + NLMSG_LENGTH(sizeof route_) + RTA_LENGTH(0), address_->bytes().data(),
                  address_->bytes().size());
    }
    nlmsghdr head = head_;
    head.nlmsg_len = static_cast<std::uint32_t>(request.size());
    std::memcpy(request.data(), &head, sizeof head);
    std::memcpy(request.data() + NLMSG_LENGTH(0), &route_, sizeof route_);
    return request;
  }

  // Whether that was all.
  Result<bool> take(ByteView datagram, std::vector<Answer>& answers) const {
    while (datagram.size() >= sizeof(nlmsghdr)) {
      const auto head = read_as<nlmsghdr>(datagram);
      if (head.nlmsg_len < sizeof(nlmsghdr) || head.nlmsg_len > datagram.size()) break;
      const ByteView message = datagram.first(head.nlmsg_len).subspan(NLMSG_LENGTH(0));
      if (head.nlmsg_type == NLMSG_DONE) return true;
      if (head.nlmsg_type == NLMSG_ERROR) {
        const int error = -read_as<nlmsgerr>(message).error;
        return fail(Errc::system, std::strerror(error), error);
      }
      answers.push_back(read_route(message));
      if ((head_.nlmsg_flags & NLM_F_DUMP) == 0) return true;
      datagram = datagram.subspan(std::min<std::size_t>(NLMSG_ALIGN(head.nlmsg_len), datagram.size()));
    }
    return false;
  }

  nlmsghdr head_{};
  rtmsg route_{};
  rtattr attribute_{};
  std::optional<IpAddress> address_;
};

std::string name_of(int interface) {
  std::array<char, IF_NAMESIZE> name{};
  const bool is_there =
      interface > 0 && ::if_indextoname(static_cast<unsigned>(interface), name.data()) != nullptr;
  return is_there ? name.data() : "";
}

unsigned char family_of(bool is_v4) { return is_v4 ? AF_INET : AF_INET6; }

}  // namespace

Result<Route> route_to(const IpAddress& address) {
  Question question(family_of(address.is_v4()), 0);
  question.about(address);
  const auto answers = TRY(question.ask());
  if (answers.empty()) return fail(Errc::system, "no answer");
  const Answer& answer = answers.front();
  return Route{answer.head.rtm_type == RTN_LOCAL, name_of(answer.interface), answer.gateway};
}

std::vector<std::string> default_interfaces(bool is_v4) {
  std::vector<std::string> names;
  const auto answers = Question(family_of(is_v4), NLM_F_DUMP).ask();
  if (!answers) return names;
  for (const Answer& answer : *answers) {
    if (answer.head.rtm_dst_len != 0 || answer.table != RT_TABLE_MAIN || answer.head.rtm_type != RTN_UNICAST)
      continue;
    std::string name = name_of(answer.interface);
    if (!name.empty() && std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace culvert::net

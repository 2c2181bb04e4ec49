// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/ip_address.hpp"
#include "base/result.hpp"
#include "engine/relay/endpoint.hpp"

namespace culvert::relay {

/// From which addresses streams are taken, as nginx (allow, deny) and haproxy have it: the first entry that
/// fits, in the order in which they were added, decides. Where none fits, everybody may if nothing was
/// allowed expressly, and else nobody.
class AccessList {
 public:
  enum class Answer : bool { deny, allow };

  /// `network`: "192.0.2.0/24", "2001:db8::1", or "all". Errc::malformed: it is none of them.
  [[nodiscard]] Result<void> add(Answer answer, std::string_view network);

  /// An IPv4 address is the same however it is written (::ffff:192.0.2.1). A name, and who came over a Unix
  /// socket, fit no entry but "all".
  [[nodiscard]] bool allows(const Endpoint& origin) const;
  [[nodiscard]] bool empty() const { return entries_.empty(); }

 private:
  struct Entry {
    std::optional<IpNetwork> network;  ///< none: all
    Answer answer;
  };
  std::vector<Entry> entries_;
  bool has_allow_ = false;
};

}  // namespace culvert::relay

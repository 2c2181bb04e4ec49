// SPDX-License-Identifier: Apache-2.0
// Why something is not served: for whoever asked, and for the operator.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "base/log_fields.hpp"
#include "base/result.hpp"

namespace culvert::relay {

/// Why a stream is not served. Becomes a SOCKS reply, a channel-open failure, or a reset.
enum class Refusal : std::uint8_t {
  prohibited,
  network_unreachable,
  unreachable,
  connection_refused,
  timed_out,
  unsupported,
  no_source,  ///< there is no address or port here to connect from
  overloaded,
  too_many_names,  ///< are being looked up
  closed
};

/// Whether a dial failed by what is missing here: then it says nothing of the target.
[[nodiscard]] constexpr bool is_ours(Refusal reason) {
  return reason == Refusal::no_source || reason == Refusal::overloaded || reason == Refusal::too_many_names ||
         reason == Refusal::closed;
}

/// What a failed connect or look-up means for whoever asked.
[[nodiscard]] Refusal refusal_for(const Error& error);

/// A line of a configuration that would have allowed what was refused; empty: there is none. In the log it
/// stands behind the reason, and is the field "rule".
struct RuleHint {
  std::string rule;  ///< printable
};

/// A failed dial: the reason for whoever asked, and a line for the operator ("open failed: connect failed:
/// Connection refused"), in which text from a peer is printable already.
struct DialError {
  Refusal reason;
  std::string message;
  RuleHint hint = {};
};

inline void add_fields(LogFields& fields, const RuleHint& hint) {
  if (!hint.rule.empty()) fields.add("rule", hint.rule);
}

}  // namespace culvert::relay

template <>
struct fmt::formatter<culvert::relay::RuleHint> : fmt::formatter<std::string_view> {
  auto format(const culvert::relay::RuleHint& hint, fmt::format_context& context) const {
    if (hint.rule.empty()) return context.out();
    return fmt::format_to(context.out(), "; this rule would: {}", hint.rule);
  }
};

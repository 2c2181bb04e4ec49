// SPDX-License-Identifier: Apache-2.0
// The conditions of Match (ssh_config(5)).
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace culvert::files {

/// What conditions ask about, as it stands when the line is reached.
struct MatchFacts {
  std::string host;           ///< with HostName and canonicalization as far as they are known
  std::string original_host;  ///< as given on the command line
  std::string user;
  std::string local_user;
  std::string tag = {};
  std::string version = {};  ///< of this program
};

/// Questions that text cannot answer.
class MatchQuestions {
 public:
  virtual ~MatchQuestions() = default;
  /// `Match exec`: whether this command, whose tokens are not yet expanded, ends with status 0.
  virtual Result<bool> succeeds(std::string_view command) = 0;
  /// `Match localnetwork`: whether an interface of this machine has an address in one of these networks
  /// ("192.0.2.0/24,2001:db8::/32").
  virtual Result<bool> has_address_in(std::string_view networks) = 0;
};

struct MatchOutcome {
  bool matches = false;
  bool wants_final_pass = false;  ///< `final` was asked for: the files must be read once more
};

/// `conditions`: all that stands behind "Match". Commands run only where the conditions before them hold. The
/// error is without file and line.
[[nodiscard]] Result<MatchOutcome> evaluate_match(std::string_view conditions, const MatchFacts& facts,
                                                  bool final_pass, MatchQuestions& questions);

}  // namespace culvert::files

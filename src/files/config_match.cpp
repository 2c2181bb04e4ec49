// SPDX-License-Identifier: Apache-2.0
#include "files/config_match.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "base/text.hpp"
#include "files/config_words.hpp"
#include "files/host_pattern.hpp"

namespace culvert::files {
namespace {

bool is_end(const std::optional<std::string>& word) {
  return !word || word->empty() || word->starts_with('#');
}

// culvert opens no session: the type of its own is "none", and its command is empty.
constexpr std::string_view kSessionType = "none";
constexpr std::string_view kCommand = "";

class Evaluation {
 public:
  Evaluation(const MatchFacts& facts, bool final_pass, MatchQuestions& questions)
      : facts_(facts), final_pass_(final_pass), questions_(questions) {}

  Result<MatchOutcome> run(std::string_view conditions) {
    outcome_.matches = true;
    for (;;) {
      auto word = take_word(conditions);
      if (!word) return fail(Errc::malformed, "invalid quotes");
      if (is_end(word)) break;
      const bool negated = word->starts_with('!');
      const std::string name = lower(std::string_view(*word).substr(negated ? 1 : 0));
      if (name == "all") {
        if (count_ > 1 || !is_end(take_word(conditions))) {
          return fail(Errc::malformed, fmt::format("'{}' cannot be combined with other Match attributes",
                                                   printable(*word, 200)));
        }
        outcome_.matches = outcome_.matches && !negated;
        return outcome_;
      }
      ++count_;
      TRY(add(name, negated, conditions));
    }
    if (count_ == 0) return fail(Errc::malformed, "One or more attributes required for Match");
    return outcome_;
  }

 private:
  Result<void> add(std::string_view name, bool negated, std::string_view& conditions) {
    bool holds = false;
    if (name == "canonical" || name == "final") {
      outcome_.wants_final_pass = outcome_.wants_final_pass || name == "final";
      holds = final_pass_;
    } else {
      const auto value = take_word(conditions);
      // Newer versions ask about an empty command or tag with "", which looks like the end here.
      if (is_end(value)) {
        return fail(Errc::malformed, fmt::format("Missing Match criteria for {}", printable(name, 200)));
      }
      if (name == "exec") {
        if (!outcome_.matches) return {};
        holds = TRY(questions_.succeeds(*value));
      } else if (name == "localnetwork") {
        if (!outcome_.matches) return {};
        holds = TRY(questions_.has_address_in(*value));
      } else {
        holds = TRY(compare(name, *value));
      }
    }
    if (holds == negated) outcome_.matches = false;
    return {};
  }

  [[nodiscard]] Result<bool> compare(std::string_view name, std::string_view patterns) const {
    // Names of hosts are compared without regard to case, all else exactly.
    if (name == "host") return matches_pattern_list(lower(facts_.host), patterns);
    if (name == "originalhost") return matches_pattern_list(lower(facts_.original_host), patterns);
    const auto exactly = [&](std::string_view text) {
      return matches_pattern_list(text, patterns, LetterCase::exact);
    };
    if (name == "user") return exactly(facts_.user);
    if (name == "localuser") return exactly(facts_.local_user);
    if (name == "tagged") return exactly(facts_.tag);
    if (name == "version") return exactly(facts_.version);
    if (name == "sessiontype") return exactly(kSessionType);
    if (name == "command") return exactly(kCommand);
    return fail(Errc::malformed, fmt::format("Unsupported Match attribute {}", printable(name, 200)));
  }

  const MatchFacts& facts_;
  bool final_pass_;
  MatchQuestions& questions_;
  MatchOutcome outcome_;
  std::size_t count_ = 0;  // of conditions; as in OpenSSH, "all" goes together with one other
};

}  // namespace

Result<MatchOutcome> evaluate_match(std::string_view conditions, const MatchFacts& facts, bool final_pass,
                                    MatchQuestions& questions) {
  return Evaluation(facts, final_pass, questions).run(conditions);
}

}  // namespace culvert::files

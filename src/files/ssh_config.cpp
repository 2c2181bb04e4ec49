// SPDX-License-Identifier: Apache-2.0
#include "files/ssh_config.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "base/text.hpp"
#include "files/config_words.hpp"
#include "files/host_pattern.hpp"

namespace culvert::files {
namespace {

constexpr std::size_t kMostReports = 50;  // of one file

class Reader {
 public:
  Reader(const ConfigPass& pass, ConfigHooks& hooks) : pass_(pass), hooks_(hooks) {}

  [[nodiscard]] bool wants_final_pass() const { return wants_final_pass_; }

  // `never`: the Include stands in a block that is for other hosts; the file is only checked.
  Result<void> read(const std::string& file, std::string_view text, bool never, int depth) {
    if (text.size() > kMaxConfigSize) {
      return fail(Errc::limit, fmt::format("{}: larger than {} MiB", printable(file), kMaxConfigSize >> 20));
    }
    if ((total_ += text.size()) > kMaxConfigTotal) {
      return end(Errc::limit, fmt::format("{}: with what it includes, larger than {} MiB", printable(file),
                                          kMaxConfigTotal >> 20));
    }
    State state{.file = file, .never = never, .active = !never, .depth = depth};
    while (!text.empty()) {
      const std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(line.size() + 1, text.size()));
      ++state.number;
      const auto done = take_line(line, state);
      if (ended_) return std::unexpected(*ended_);
      if (!done) report(state, done.error());
    }
    if (state.errors == 0) return {};
    return end(Errc::malformed,
               fmt::format("{}: terminating, {} bad configuration options", printable(file), state.errors));
  }

 private:
  struct State {
    const std::string& file;
    bool never;
    bool active;
    int depth;
    std::size_t number = 0;
    std::size_t errors = 0;
  };

  void report(State& state, const Error& error) {
    if (++state.errors > kMostReports) return;
    const char* colon = error.code == Errc::not_found ? ":" : "";  // as OpenSSH has it
    hooks_.report(fmt::format("{}{} line {}: {}", printable(state.file), colon, state.number, error.message));
  }

  Result<void> take_line(std::string_view line, State& state) {
    if (line.size() > kMaxConfigLine) {
      return fail(Errc::malformed, fmt::format("longer than {} KiB", kMaxConfigLine >> 10));
    }
    if (line.contains('\0')) return fail(Errc::malformed, "a zero byte");
    const ConfigWords words = TRY(split_keyword(line));
    if (words.keyword.empty()) return {};
    if (words.rest.empty()) {
      return fail(Errc::malformed,
                  fmt::format("no argument after keyword \"{}\"", printable(words.keyword, 200)));
    }
    if (words.keyword == "host") return take_host(words.rest, state);
    if (words.keyword == "match") return take_match(words.rest, state);
    if (words.keyword == "include") return take_include(words.rest, state);
    const ConfigLine out{
        .file = state.file, .number = state.number, .keyword = words.keyword, .rest = words.rest};
    auto done = hooks_.apply(out, state.active);
    if (!done && done.error().code == Errc::unsupported && !state.active) return {};
    return done;
  }

  Result<void> take_host(std::string_view rest, State& state) const {
    state.active = false;
    bool matches = false;
    for (const std::string& word : TRY(words_of("host", rest))) {
      const bool negated = word.starts_with('!');
      const std::string_view pattern = std::string_view(word).substr(negated ? 1 : 0);
      if (!matches_pattern(pass_.host, pattern, LetterCase::exact)) continue;
      matches = !negated;
      if (negated) break;
    }
    state.active = matches && !state.never;
    return {};
  }

  Result<void> take_match(std::string_view rest, State& state) {
    state.active = false;
    auto outcome = evaluate_match(rest, hooks_.facts(), pass_.final_pass,
                                  state.never ? static_cast<MatchQuestions&>(no_) : hooks_);
    if (!outcome) {
      hooks_.report(
          fmt::format("{} line {}: {}", printable(state.file), state.number, outcome.error().message));
      return fail(Errc::malformed, "Bad Match condition");
    }
    state.active = outcome->matches && !state.never;
    wants_final_pass_ = wants_final_pass_ || outcome->wants_final_pass;
    return {};
  }

  Result<void> take_include(std::string_view rest, const State& state) {
    for (const std::string& word : TRY(words_of("include", rest))) {
      if (word.starts_with('~') && !pass_.home_allowed) {
        return fail(Errc::malformed, fmt::format("bad include path {}.", printable(word, 200)));
      }
      const bool anchored = word.starts_with('/') || word.starts_with('~');
      const std::string pattern = anchored ? word : pass_.include_folder + '/' + word;
      for (const std::string& path : TRY(hooks_.find_files(pattern))) {
        if (state.depth + 1 >= kMaxConfigDepth) {
          return end(Errc::limit, "Too many recursive configuration includes");
        }
        if (++included_ > kMaxConfigFiles) return end(Errc::limit, "Too many configuration includes");
        auto text = hooks_.read_file(path);
        if (!text && text.error().code == Errc::not_found) continue;
        if (!text) return std::unexpected(text.error());
        TRY(read(path, *text, !state.active, state.depth + 1));
      }
    }
    return {};
  }

  std::unexpected<Error> end(Errc code, std::string message) {
    ended_ = Error{code, std::move(message)};
    return std::unexpected(*ended_);
  }

  static Result<std::vector<std::string>> words_of(std::string_view keyword, std::string_view rest) {
    std::vector<std::string> words = TRY(split_words(rest));
    if (std::ranges::find(words, "") != words.end()) {
      return fail(Errc::malformed, fmt::format("keyword {} empty argument", keyword));
    }
    return words;
  }

  // A block that can never be active asks nothing: commands of other people's blocks do not run.
  class AnswersNo final : public MatchQuestions {
   public:
    Result<bool> succeeds(std::string_view) override { return false; }
    Result<bool> has_address_in(std::string_view) override { return false; }
  };

  const ConfigPass& pass_;
  ConfigHooks& hooks_;
  AnswersNo no_;
  bool wants_final_pass_ = false;
  std::size_t included_ = 0;
  std::size_t total_ = 0;       // bytes
  std::optional<Error> ended_;  // a file has failed: nothing is read any more
};

}  // namespace

Result<bool> read_config(const std::string& file_name, std::string_view text, const ConfigPass& pass,
                         ConfigHooks& hooks) {
  Reader reader(pass, hooks);
  TRY(reader.read(file_name, text, false, 0));
  return reader.wants_final_pass();
}

}  // namespace culvert::files

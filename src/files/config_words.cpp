// SPDX-License-Identifier: Apache-2.0
#include "files/config_words.hpp"
#include "base/text.hpp"

#include <algorithm>

namespace culvert::files {
namespace {

constexpr std::string_view kWhite = " \t\r\n";

void skip_white(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(kWhite), rest.size()));
}

bool is_blank(char letter) { return letter == ' ' || letter == '\t'; }

std::unexpected<Error> open_quote() { return fail(Errc::malformed, "invalid quotes"); }

}  // namespace

std::optional<std::string> take_word(std::string_view& rest) {
  const std::size_t end = rest.find_first_of(" \t\r\n\"=");
  std::string word(rest.substr(0, end));
  if (end == rest.npos) {
    rest = {};
    return word;
  }
  const char stop = rest[end];
  rest.remove_prefix(end + 1);
  if (stop == '"') {
    const std::size_t quote = rest.find('"');
    if (quote == rest.npos) return std::nullopt;
    word += rest.substr(0, quote);
    rest.remove_prefix(quote + 1);
    skip_white(rest);
    return word;
  }
  skip_white(rest);
  if (stop != '=' && rest.starts_with('=')) {  // "a = b"
    rest.remove_prefix(1);
    skip_white(rest);
  }
  return word;
}

Result<ConfigWords> split_keyword(std::string_view line) {
  line = line.substr(0, line.find_last_not_of(" \t\r\n\f") + 1);  // a form feed only at the end
  auto word = take_word(line);
  if (word && word->empty()) word = take_word(line);  // white space came first
  if (!word) return open_quote();
  if (word->empty() || word->starts_with('#')) return ConfigWords{};
  skip_white(line);
  return ConfigWords{lower(*word), line};
}

Result<std::vector<std::string>> split_words(std::string_view rest, bool is_command) {
  std::vector<std::string> words;
  for (;;) {
    while (!rest.empty() && is_blank(rest[0])) rest.remove_prefix(1);
    if (rest.empty() || (rest[0] == '#' && !is_command)) return words;
    std::string word;
    char quote = '\0';
    for (; !rest.empty() && (quote != '\0' || !is_blank(rest[0])); rest.remove_prefix(1)) {
      const char letter = rest[0];
      const char next = rest.size() > 1 ? rest[1] : '\0';
      if (letter == '\\' && (next == '"' || next == '\'' || next == '\\' || (quote == '\0' && next == ' '))) {
        word += next;
        rest.remove_prefix(1);
      } else if (quote == '\0' && (letter == '"' || letter == '\'')) {
        quote = letter;
      } else if (letter == quote && quote != '\0') {
        quote = '\0';
      } else {
        word += letter;
      }
    }
    if (quote != '\0') return open_quote();
    words.push_back(std::move(word));
  }
}

}  // namespace culvert::files

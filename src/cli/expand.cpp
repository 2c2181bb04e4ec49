// SPDX-License-Identifier: Apache-2.0
#include "cli/expand.hpp"

#include <pwd.h>

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "cli/values.hpp"

namespace culvert::cli {

namespace {

constexpr std::string_view kVariable = "${";

/// Both move `rest` behind what they read, its first characters, and add what that stands for to `out`.
/// `text` is for messages.
Result<void> expand_token(std::string_view text, std::string_view& rest, std::span<const Token> tokens,
                          std::string& out) {
  if (rest.size() < 2) return fail(Errc::usage, fmt::format("{} ends in a single '%'", in_quotes(text)));
  const std::string_view name = rest.substr(0, 2);
  rest.remove_prefix(name.size());
  if (name[1] == '%') {
    out += '%';
    return {};
  }
  const auto token = std::ranges::find(tokens, name[1], &Token::first);
  if (token == tokens.end())
    return fail(Errc::usage, fmt::format("{}: unknown token {}", in_quotes(text), in_quotes(name)));
  out += token->second;
  return {};
}

Result<void> expand_variable(std::string_view text, std::string_view& rest, std::string& out) {
  const auto end = rest.find('}');
  if (end == std::string_view::npos)
    return fail(Errc::usage, fmt::format("{}: '${{' without '}}'", in_quotes(text)));
  const std::string name(rest.substr(kVariable.size(), end - kVariable.size()));
  rest.remove_prefix(end + 1);
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) {
    return fail(Errc::usage,
                fmt::format("{}: there is no environment variable {}", in_quotes(text), in_quotes(name)));
  }
  out += value;
  return {};
}

enum class Variables : bool { as_they_are, expanded };

// In one pass: what a token or a variable stands for is not looked at again.
Result<std::string> expand(std::string_view text, std::span<const Token> tokens, Variables variables) {
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    if (rest.front() == '%') {
      TRY(expand_token(text, rest, tokens, out));
    } else if (variables == Variables::expanded && rest.starts_with(kVariable)) {
      TRY(expand_variable(text, rest, out));
    } else {
      out += rest.front();
      rest.remove_prefix(1);
    }
  }
  return out;
}

}  // namespace

Result<std::string> expand_tokens(std::string_view text, std::span<const Token> tokens) {
  return expand(text, tokens, Variables::as_they_are);
}

Result<std::string> expand_references(std::string_view text, std::span<const Token> tokens) {
  return expand(text, tokens, Variables::expanded);
}

Result<std::string> expand_tilde(std::string_view path, std::string_view home) {
  if (!path.starts_with('~')) return std::string(path);
  const std::string_view name = path.substr(1, path.find('/') - 1);
  const std::string_view rest = path.substr(std::min(path.size(), 1 + name.size()));
  if (name.empty()) return std::string(home) + std::string(rest);
  const passwd* entry = ::getpwnam(std::string(name).c_str());
  if (entry == nullptr)
    return fail(Errc::usage, fmt::format("{}: there is no user {}", in_quotes(path), in_quotes(name)));
  return std::string(entry->pw_dir) + std::string(rest);
}

}  // namespace culvert::cli

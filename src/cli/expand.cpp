// SPDX-License-Identifier: Apache-2.0
#include "cli/expand.hpp"

#include <pwd.h>

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "cli/values.hpp"

namespace culvert::cli {

Result<std::string> expand_tokens(std::string_view text, std::span<const Token> tokens) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (++i == text.size()) return fail(Errc::usage, fmt::format("{} ends in a single '%'", in_quotes(text)));
    if (text[i] == '%') {
      out += '%';
      continue;
    }
    const auto token = std::ranges::find(tokens, text[i], &Token::first);
    if (token == tokens.end()) {
      return fail(Errc::usage,
                  fmt::format("{}: unknown token {}", in_quotes(text), in_quotes(text.substr(i - 1, 2))));
    }
    out += token->second;
  }
  return out;
}

Result<std::string> expand_variables(std::string_view text) {
  std::string out;
  for (;;) {
    const auto start = text.find("${");
    out += text.substr(0, start);
    if (start == std::string_view::npos) return out;
    const auto end = text.find('}', start);
    if (end == std::string_view::npos)
      return fail(Errc::usage, fmt::format("{}: '${{' without '}}'", in_quotes(text)));
    const std::string name(text.substr(start + 2, end - start - 2));
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) {
      return fail(Errc::usage,
                  fmt::format("{}: there is no environment variable {}", in_quotes(text), in_quotes(name)));
    }
    out += value;
    text.remove_prefix(end + 1);
  }
}

Result<std::string> expand_references(std::string_view text, std::span<const Token> tokens) {
  return expand_tokens(TRY(expand_variables(text)), tokens);
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

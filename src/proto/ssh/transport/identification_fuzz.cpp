// SPDX-License-Identifier: Apache-2.0
// The identification line (RFC 4253 section 4.2), for both roles: how the bytes are cut into pieces must make
// no difference. Input: size of the pieces, how much longer the text's first byte gets and how often the text
// comes (for limits that are far away), text.
#include "proto/ssh/transport/identification.hpp"

#include "base/text.hpp"
#include "tests/support/fuzz_input.hpp"

using namespace culvert;
using test::require;

namespace {

constexpr std::size_t kLongest = 80 * 1024;  // somewhat more than all that may come before the line
constexpr std::size_t kMostPieces = 200;

struct Outcome {
  bool failed = false;
  std::size_t taken = 0;  // of all bytes
  std::optional<std::string> line;
  bool operator==(const Outcome&) const = default;
};

// As a transport does it: what is taken is gone, the rest comes again with more.
Outcome read(ByteView input, bool lines_before, std::size_t piece) {
  ssh::IdentificationReader reader(lines_before);
  Outcome outcome;
  for (std::size_t came = 0; came < input.size();) {
    came += std::min(piece, input.size() - came);
    // A copy of its own: reading past its end shows.
    const Bytes pending = copy_of(input.subspan(outcome.taken, came - outcome.taken));
    auto found = reader.read(pending);
    if (!found) return {true, 0, std::nullopt};
    require(found->taken <= pending.size(), "no more is taken than came");
    outcome.taken += found->taken;
    outcome.line = std::move(found->line);
    if (outcome.line) break;
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::FuzzInput input(data, size);
  const std::size_t piece = input.byte() + std::size_t{1};
  const std::size_t stretch = input.byte() * std::size_t{64};
  const std::size_t often = input.byte();
  const std::size_t times = often < 192 ? 1 : 4 * (often - 191);  // long texts are slow: not all of them
  const ByteView rest = input.rest();
  Bytes once(rest.empty() ? 0 : stretch, rest.empty() ? std::uint8_t{} : rest[0]);
  once.insert(once.end(), rest.begin(), rest.end());
  Bytes text;
  for (std::size_t i = 0; i < times && text.size() + once.size() <= kLongest; ++i)
    text.insert(text.end(), once.begin(), once.end());

  for (const bool lines_before : {false, true}) {
    const Outcome whole = read(text, lines_before, text.size());
    require(read(text, lines_before, std::max(piece, text.size() / kMostPieces)) == whole,
            "pieces make no difference");
    if (!whole.line) continue;
    const std::string_view line = *whole.line;
    require(line.starts_with("SSH-2.0-") || line.starts_with("SSH-1.99-"), "the version is ours");
    require(line.size() < 255 && line.find_first_of(std::string_view("\n\0", 2)) == std::string_view::npos,
            "it is one line");
    require(lines_before || as_text(text).starts_with(line), "a client says nothing before it");
  }
  return 0;
}

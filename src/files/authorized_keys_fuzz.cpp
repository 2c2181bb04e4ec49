// SPDX-License-Identifier: Apache-2.0
// authorized_keys files: the first line of the input is where somebody comes from, the rest is the file.
#include "files/authorized_keys.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/bytes.hpp"
#include "base/text.hpp"
#include "crypto/private_key.hpp"
#include "files/source_list.hpp"

using namespace culvert;

namespace {

constexpr std::string_view kKeyLine =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDbVLPcb3L87elX9trSnOky+vWqSXSTu1WPgVi9fgY1A";

void check(const files::AuthorizedKey& entry, const IpAddress& source) {
  const files::KeyOptions& options = entry.options;
  if (entry.line == 0 || options.permit_open.size() > files::kMaxPermits) std::abort();
  if (options.from && !files::check_source_list(*options.from)) std::abort();
  const auto use = files::check_use(options, source, 1'800'000'000);
  if (!use && printable(use.error().message) != use.error().message && !options.from) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = as_text(ByteView(data, size));
  const std::string_view first = input.substr(0, input.find('\n'));
  const std::string_view text = input.substr(std::min(first.size() + 1, input.size()));
  const IpAddress source = IpAddress::parse(first).value_or(IpAddress());
  (void)files::check_network_list(first);
  if (files::check_source_list(first).has_value() != files::matches_source(source, first).has_value())
    std::abort();

  const auto to_utc = [](UnixSeconds local) { return local - 3600; };
  const auto keys = files::parse_authorized_keys(text, to_utc);
  if (!keys) return 0;
  for (const auto& entry : keys->keys) check(entry, source);
  for (const auto& warning : keys->warnings) {
    if (warning.line == 0 || warning.text.empty() ||
        warning.text.find_first_of("\n\x1b") != std::string::npos)
      std::abort();
  }
  // A key is found on its own line whatever the lines before it are, and what is in front of it never adds to
  // what it may do without.
  static const auto key = crypto::parse_public_key_line(kKeyLine);
  const auto more = files::parse_authorized_keys(std::string(text) + "\n" + std::string(kKeyLine), to_utc);
  if (more && more->keys.size() < files::kMaxAuthorizedKeys) {
    const auto found = more->with_key(*key);
    if (found.empty() || found.back()->options != files::KeyOptions{}) std::abort();
  }
  return 0;
}

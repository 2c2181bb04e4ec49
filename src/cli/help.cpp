// SPDX-License-Identifier: Apache-2.0
#include "cli/help.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/text.hpp"
#include "cli/options.hpp"
#include "cli/values.hpp"
#include "crypto/algorithms.hpp"
#include "crypto/key_algorithms.hpp"

namespace culvert::cli {
namespace {

constexpr std::string_view kHead =
    "usage: culvert [options] [user@]host             or  ssh://[user@]host[:port]\n"
    "Forwards ports through an SSH server. Also: culvert map, proxy, open and serve.\n";

constexpr std::string_view kTail =
    "\n"
    "  culvert -L 15432:db.internal:5432 bastion          psql -h localhost -p 15432\n"
    "  culvert -fL /tmp/web.sock:localhost:80 me@bastion  either side may be a /path\n"
    "  ssh -o ProxyCommand='culvert -W %h:%p bastion' inner\n"
    "exit: 0 ended by a signal, or -W is over; 255 failed; 128+N signal N cut it off\n";

template <class Row>
void add_names(std::string& out, std::span<const Row> rows) {
  for (const Row& row : rows) out += fmt::format("{}\n", row.name);
}

std::string cipher_names(bool only_aead) {
  std::string out;
  for (const crypto::CipherInfo& row : crypto::ciphers()) {
    if (row.is_aead || !only_aead) out += fmt::format("{}\n", row.name);
  }
  return out;
}

std::string lines_of(std::span<const std::string_view> names) {
  std::string out;
  for (const std::string_view name : names) out += fmt::format("{}\n", name);
  return out;
}

// Two cells to a line.
class Columns {
 public:
  explicit Columns(std::string& out) : out_(out) {}

  void add(const std::string& cell) {
    out_ += left_ ? cell : fmt::format("{:{}}{}\n", "", kWidth - std::min(size_, kWidth), cell);
    size_ = cell.size();
    left_ = !left_;
  }
  void end_row() {
    if (!std::exchange(left_, true)) out_ += '\n';
  }

 private:
  static constexpr std::size_t kWidth = 40;
  std::string& out_;
  std::size_t size_ = 0;
  bool left_ = true;
};

enum class KeyTypes : std::uint8_t { plain, certificates, all };

// A type of RSA keys has several algorithms (RFC 8332).
std::string key_types(KeyTypes wanted) {
  std::vector<std::string_view> types;
  for (const std::string_view algorithm : crypto::user_key_algorithms()) {
    const bool is_certificate = crypto::is_certificate_algorithm(algorithm);
    if (wanted == (is_certificate ? KeyTypes::plain : KeyTypes::certificates)) continue;
    std::string_view type = algorithm;
    if (type.starts_with("rsa-")) type = is_certificate ? "ssh-rsa-cert-v01@openssh.com" : "ssh-rsa";
    if (std::ranges::find(types, type) == types.end()) types.push_back(type);
  }
  return lines_of(types);
}

}  // namespace

std::string help_text() {
  std::string out(kHead);
  Columns columns(out);
  for (const Letter& row : letters()) {
    if (row.effect != Effect::works || row.text.empty()) continue;
    const std::string option = fmt::format("-{} {}", row.letter, row.value);
    if (std::string_view("LRDW").contains(row.letter)) {
      out += fmt::format("  {:<29} {}\n", option, row.text);
    } else {
      columns.add(fmt::format("  {:<12} {}", option, row.text));
    }
  }
  columns.end_row();
  for (const LongOption& row : long_options()) {
    if (row.text.empty()) continue;
    const std::string option = fmt::format("--{} {}", row.name, row.value);
    columns.add(fmt::format("  {} {}{}", option, row.value.empty() ? "" : " ", row.text));
  }
  columns.end_row();
  return out.append(kTail);
}

std::string version_text() { return fmt::format("culvert {}\n", CULVERT_VERSION); }

Result<std::string> query_text(std::string_view what) {
  const std::string word = lower(what);
  std::string out;
  if (word == "cipher" || word == "ciphers") return cipher_names(false);
  if (word == "cipher-auth") return cipher_names(true);
  if (word == "mac" || word == "macs") {
    add_names(out, crypto::macs());
  } else if (word == "kex" || word == "kexalgorithms") {
    add_names(out, crypto::key_exchanges());
  } else if (word == "key") {
    return key_types(KeyTypes::all);
  } else if (word == "key-plain") {
    return key_types(KeyTypes::plain);
  } else if (word == "key-cert") {
    return key_types(KeyTypes::certificates);
  } else if (word == "sig" || word == "casignaturealgorithms") {
    return lines_of(crypto::authority_algorithms());
  } else if (word == "key-sig" || word == "pubkeyacceptedalgorithms") {
    return lines_of(crypto::user_key_algorithms());
  } else if (word == "hostkeyalgorithms") {
    return lines_of(crypto::host_key_algorithms());
  } else if (word == "kex-gss") {
    return out;
  } else if (word == "compression") {
    return "none\n";
  } else if (word == "protocol-version") {
    return "2\n";
  } else if (word == "help") {
    return "cipher\ncipher-auth\ncompression\nkex\nkex-gss\nkey\nkey-cert\nkey-plain\nkey-sig\nmac\nprotocol-"
           "version\nsig\n";
  } else {
    return fail(Errc::usage, fmt::format("-Q: there is no list {} (culvert -Q help)", in_quotes(what)));
  }
  return out;
}

}  // namespace culvert::cli
